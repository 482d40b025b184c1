"""Options of a model that is on servers."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from unet3d_cli.options import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from keras_unet3d.serving import Client

OPTIONS = (
    "servers",
    "model_name",
    "version",
    "label",
    "tls",
    "ca",
    "token",
    "deadline",
    "in_flight",
    "largest_message",
)
"""Names of the parameters."""

_OPTIONS = (
    click.option(
        "--server",
        "servers",
        metavar="HOST:PORT",
        multiple=True,
        help="A TensorFlow Serving, by its port of gRPC, that computes instead of this machine. Repeat for others with "
        "the same model: they share the tiles, and one that dies is left out.",
    ),
    click.option("--model-name", default="unet3d", show_default=True, help="Of the model, as servers know it."),
    click.option("--version", type=int, metavar="N", help="Of the model; by default the newest."),
    click.option("--label", help="Of a version, such as stable, in place of its number."),
    click.option("--tls", is_flag=True, help="Call by TLS."),
    click.option(
        "--ca",
        type=click.Path(path_type=Path),
        metavar="FILE.pem",
        help="Call by TLS, and trust these authorities in place of the system's.",
    ),
    click.option(
        "--token",
        envvar="UNET3D_TOKEN",
        help="Sent with every request, as authorization: Bearer …; better in UNET3D_TOKEN, which others cannot list.",
    ),
    click.option(
        "--deadline", type=float, metavar="SECONDS", help="That a server may take for a tile. By default 300."
    ),
    click.option("--in-flight", type=int, metavar="N", help="Requests of each server at a time. By default 2."),
    click.option(
        "--largest-message",
        type=Memory(),
        help="What a request or a reply may take, where a proxy limits them. By default 2GiB.",
    ),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def read_client(
    models: tuple[Path, ...],
    *,
    servers: tuple[str, ...],
    tls: bool,
    ca: Path | None,
    **asked: Any,
) -> Client | None:
    """The client that the options describe; None without --server.

    Args:
        models: folders; one that the user named is a copy of the served model.
        servers: their addresses.
        tls: whether it is to be used.
        ca: authorities.
        asked: all other options.

    Raises:
        InputError: if they cannot be meant.
    """
    context = click.get_current_context()
    typed = [name for name in (*OPTIONS, "models") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if not servers:
        if typed and typed[0] != "models":
            name = typed[0]
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --server, which is missing.")
        return None
    from keras_unet3d.serving import Access, Client

    folders = models if "models" in typed else ()
    if len(folders) > 1:
        raise click.UsageError("A server has one model. Give one --model at most: a copy of it, where it needs one.")
    named = {name: asked.pop(name) for name in ("deadline", "in_flight", "largest_message", "token")}
    access = Access(tls=ca or tls, **{name: value for name, value in named.items() if value is not None})
    return Client(servers, folder=folders[0] if folders else None, access=access, **asked)
