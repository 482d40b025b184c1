"""The installed `unet3d`, run as a user runs it, and one trained model for all tests."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class User:
    """Somebody at a shell in a folder.

    Attributes:
        folder: where commands run.
    """

    folder: Path

    def start(self, *arguments):
        """Start `unet3d`; the caller waits for it."""
        # Without what the tests set for themselves: pytest-xdist gives its workers a width of the terminal.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "COLUMNS"))}
        program = Path(sys.executable).with_name("unet3d")
        return subprocess.Popen(
            [program, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *arguments, status=0):
        """Run `unet3d` to its end; returns what it wrote to stdout and to stderr."""
        running = self.start(*arguments)
        out, err = running.communicate(timeout=300)
        assert running.returncode == status, f"exit status {running.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def stop_in_training(self, *arguments, by):
        """Start `unet3d fit` and send it a signal some steps after a validation; returns status, stdout and stderr."""
        running = self.start(*arguments)
        seen, validated = [], False
        for line in running.stderr:
            seen.append(line)
            validated = validated or line.startswith("Validation at step ")
            if validated and line.startswith("Training ") and "%: step " in line:
                break
        running.send_signal(by)
        out, err = running.communicate(timeout=120)
        return running.returncode, out, "".join(seen) + err


@pytest.fixture(scope="session")
def user(tmp_path_factory):
    """A user whose folder holds two small synthetic kidneys in `kidneys/`."""
    user = User(tmp_path_factory.mktemp("user"))
    user.run("phantom", "kidneys", "--size", "x=24 y=20 z=16", "--volumes", 2)
    return user


@pytest.fixture(scope="session")
def tiny():
    """Flags of a network that a test can afford."""
    return "--filters", "2", "--padding", "same", "--tile", "x=16 y=16 z=16", "--batch-size", "1"


@pytest.fixture(scope="session")
def trained(user, tiny):
    """The output of a short training that exported models/unet3d/1."""
    return user.run("fit", "kidneys", "--steps", 4, *tiny, "--json")
