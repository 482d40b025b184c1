import json
import os
import subprocess
import sys
import warnings

import pytest
from unet3d_cli.main import COMMANDS

from keras_unet3d.errors import InputError, WorkError

HEAVY = ("tensorflow", "keras", "scipy", "pydantic", "nibabel", "SimpleITK", "tifffile", "h5py", "numpy", "rich")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_imports_nothing_heavy(command):
    arguments = [command, "--help"] if command else ["--help"]
    code = (
        "import sys\n"
        "from unet3d_cli import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "finally:\n"
        f"    print('imported:', sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_teaches_with_an_example(unet3d, command):
    shown = unet3d(command, "--help")
    assert shown.exit_code == 0
    example = shown.stdout[shown.stdout.index("Examples:") :]
    assert f"  unet3d {command}" in example
    assert "--debug" in shown.stdout


def test_the_help_lists_all_commands(unet3d):
    shown = unet3d("--help").stdout
    listed = [line.split()[0] for line in shown[shown.index("Commands:") :].splitlines()[1:]]
    assert tuple(listed) == COMMANDS


def test_the_version(unet3d):
    shown = unet3d("--version")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("unet3d, version ")


@pytest.mark.parametrize(
    "arguments", [["segmnt"], ["info"], ["info", "m", "--jsno"], ["phantom", "p", "--volumes", "0"]]
)
def test_a_wrong_call_is_one_sentence_on_stderr_and_2(unet3d, arguments):
    done = unet3d(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def failing(unet3d, monkeypatch):
    """Run `unet3d info` with this going wrong inside."""

    def run(error, *options):
        def fail(_):
            raise error

        monkeypatch.setattr("keras_unet3d.serving.versions.version_folder", fail)
        return unet3d("info", "m", *options)

    return run


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (InputError("m: is no model."), 2, "Error: m: is no model.\n"),
        (WorkError("The disk is full."), 1, "Error: The disk is full.\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
        (MemoryError(), 1, "Error: the memory of this machine does not suffice. Use smaller volumes or tiles.\n"),
    ],
)
def test_every_end_has_its_status_and_its_sentence(failing, error, status, told):
    done = failing(error)
    assert (done.exit_code, done.stderr, done.stdout) == (status, told, "")


@pytest.mark.parametrize("error", [ValueError("no\nsecond line"), EOFError("no"), OSError("no")])
def test_what_nobody_foresaw_is_one_sentence_too(failing, error):
    done = failing(error)
    assert done.exit_code == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(f"Error: unexpected {type(error).__name__} (no); run again with --debug")
    )
    assert "Traceback" not in done.stderr
    assert "second line" not in done.stderr


@pytest.mark.parametrize("error", [ValueError("no"), InputError("no")])
def test_debug_shows_the_traceback(failing, error):
    done = failing(error, "--debug")
    assert "Traceback (most recent call last)" in done.stderr
    assert "in fail" in done.stderr


def test_debug_goes_before_the_command_too(unet3d):
    assert "Traceback" in unet3d("--debug", "info", "nothing").stderr
    assert "Traceback" not in unet3d("info", "nothing").stderr


def test_a_closed_pipe_is_no_error(failing):
    assert failing(BrokenPipeError(32, "Broken pipe")).exit_code == 0


def test_an_encoding_that_lacks_a_letter_stops_nothing(model):
    """As where a Western European locale is set, or a Windows console's output goes to a file."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "from unet3d_cli import main; main()", "info", str(model)]
    text, plain = (
        subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=True).stdout
        for options in ([], ["--json"])
    )
    assert "x=0.5 y=1 z=2 \\xb5m" in text
    assert json.loads(plain)["unit"] == "µm"


def test_warnings_of_this_package_are_one_line_and_others_are_not_shown(unet3d, monkeypatch):
    from keras_unet3d.serving import versions

    def warn(path):
        warnings.warn_explicit("two\n  lines", UserWarning, versions.__file__, 1)
        warnings.warn_explicit("numpy's own", UserWarning, "/elsewhere/numpy.py", 1)
        raise InputError("end")

    monkeypatch.setattr("keras_unet3d.serving.versions.version_folder", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert unet3d("info", "m").stderr == "Warning: two lines\nError: end\n"
