"""`unet3d`: finds the commands when they are asked for, and turns every error into a sentence and an exit status."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from unet3d_cli.telling import tell

from keras_unet3d.errors import InputError, UNet3DError
from keras_unet3d.quiet import quiet_tensorflow

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "demo",
    "fit",
    "segment",
    "suggest",
    "evaluate",
    "report",
    "check",
    "info",
    "export",
    "phantom",
    "experiment",
)
"""In the order of the help; each is the `command` of the module of its name."""

DONE, WORK_FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class Commands(click.Group):
    """Commands that are imported when they are used, behind the boundary that no traceback passes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, the one to begin with first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"unet3d_cli.{cmd_name}").command
        return command

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = "unet3d", *others: Any, **options: Any
    ) -> NoReturn:
        """Run a command and exit with its status."""
        if "_UNET3D_COMPLETE" in os.environ:  # the shell asks what could come next
            super().main(args, prog_name, *others, **options)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # an "µ" that its encoding lacks is no reason to stop
                stream.reconfigure(errors="backslashreplace")
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        if not debug:
            quiet_tensorflow()
        status = DONE
        with warnings.catch_warnings():
            _show_warnings_as_lines(debug=debug)
            try:
                with self.make_context(prog_name, arguments) as context:
                    self.invoke(context)
            except click.exceptions.Exit as end:
                status = end.exit_code
            except BrokenPipeError:  # a reader that has seen enough, such as `head`, is no error
                sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - nothing passes as a traceback
                status = _explain(error, debug=debug)
        sys.exit(status)


def _explain(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong; returns the exit status."""
    if debug and not isinstance(error, click.ClickException):
        traceback.print_exception(error)
    match error:
        case click.ClickException():
            error.show()
            return WRONG_INPUT
        case UNet3DError():
            tell(error, f"Error: {error}")
            return WRONG_INPUT if isinstance(error, InputError) else WORK_FAILED
        case KeyboardInterrupt():
            tell(error, "\nInterrupted.")
            return INTERRUPTED
        case MemoryError():
            tell(error, "Error: the memory of this machine does not suffice. Use smaller volumes or tiles.")
            return WORK_FAILED
    hint = "" if debug else "; run again with --debug to see where"
    first_line = (str(error).strip() or "no message").splitlines()[0]
    tell(error, f"Error: unexpected {type(error).__name__} ({first_line}){hint}.")
    return WORK_FAILED


def _show_warnings_as_lines(*, debug: bool) -> None:
    """Print this package's warnings as one line each, and nobody else's unless asked to debug."""
    usual = warnings.showwarning
    packages = {str(Path(import_module(name).__file__ or "").parent) for name in ("keras_unet3d", "unet3d_cli")}

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        if any(filename.startswith(package + os.sep) for package in packages):
            click.echo(f"Warning: {' '.join(str(message).split())}", err=True)
        elif debug:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(package_name="keras-unet3d", prog_name="unet3d")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks and TensorFlow's logs.")
def main() -> None:
    """The 3D U-Net: annotate a few slices of a volume, get every voxel segmented.

    \b
      unet3d demo                            the whole story in five minutes
      unet3d check my_data                   is my dataset fine?
      unet3d fit my_data --minutes 60        train; exports models/unet3d/1
      unet3d segment scan.nii.gz labels.nii.gz
      unet3d evaluate labels.nii.gz truth.nii.gz
      unet3d report models/unet3d my_data    is it to be trusted? a page that says so
      unet3d export models/unet3d --label stable    for TensorFlow Serving
    """
