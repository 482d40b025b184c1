import json
import subprocess
import sys

from unet3d_cli.terminal import Terminal


def test_json_keeps_stdout_for_itself(capsys):
    terminal = Terminal(as_json=True)
    terminal.say("a result")
    terminal.table(["a"], [["b"]])
    terminal.note("on the way")
    terminal.result({"path": "x" * 300, "µ": [1]})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"path": "x" * 300, "µ": [1]}
    assert "a result" in captured.err


def test_quiet_says_warnings_only(capsys):
    terminal = Terminal(quiet=True)
    terminal.say("a result")
    terminal.note("on the way")
    terminal.table(["a"], [["b"]])
    terminal.result({})
    terminal.warn("look")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Warning: look\n")


def test_paths_are_neither_broken_nor_interpreted(capsys):
    path = "/data/[red]scan[/red]/" + "x" * 500
    Terminal().say(path)
    assert capsys.readouterr().out == path + "\n"


def test_work_goes_on_when_the_reader_has_seen_enough():
    code = (
        "import sys\n"
        "from unet3d_cli.terminal import Terminal\n"
        "terminal = Terminal()\n"
        "for line in range(20000):\n"
        "    terminal.say('line')\n"
        "print('all done', file=sys.stderr)\n"
    )
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -n 1', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("line\n", "all done\n")
