"""Options of `unet3d segment` for work that several processes share."""

from __future__ import annotations

from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unet3d_cli.terminal import Terminal

    from keras_unet3d.api import Dask, Part

OPTIONS = ("dask", "part")

_OPTIONS = (
    click.option(
        "--dask",
        metavar="WHERE",
        help="Share the work among workers of dask: tcp://host:8786, a scheduler's; local:N, N processes of this "
        "machine; slurm:N or lsf:N, N jobs as dask-jobqueue is configured.",
    ),
    click.option(
        "--part",
        metavar="I/N",
        help="Do the I-th of N parts; start the others with the same call, on any machine that sees the same files. "
        "The last to finish puts OUT in its place. 0/N only prepares what all of them need.",
    ),
)


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


@contextmanager
def read_executor(
    terminal: Terminal, *, dask: str | None, part: str | None, start: bool = True
) -> Iterator[Dask | Part | None]:
    """Who shares the work; None: this process has it for itself.

    Args:
        terminal: told of the workers.
        dask: the option.
        part: the option.
        start: whether workers are wanted, not only their number.

    Raises:
        InputError: if the options cannot be meant, or there are no such workers.
    """
    if dask is not None and part is not None:
        raise click.UsageError("--dask and --part are two ways to share the work. Give one.")
    if dask is None:
        from keras_unet3d.api import Part

        yield None if part is None else Part.parse(part)
        return
    from keras_unet3d.api import Dask, Part

    number = Dask.named_workers(dask)
    if number is not None and not start:
        yield Part(1, number)
        return
    with Dask(dask) as workers:
        terminal.note(f"Workers: {workers}")
        for warning in workers.warnings:
            terminal.warn(warning)
        yield workers
