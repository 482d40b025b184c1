"""`unet3d export`: a trained model as what is served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import Channels, Memory, Sizes, debug_option, json_option, model_name, quiet_option

if TYPE_CHECKING:
    from keras_unet3d.api import Export


@click.command("export", short_help="Make a model, or several as one, ready to be served.")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL…")
@click.option("--name", callback=model_name, help="What it is called when served; by default as MODEL is.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default="models",
    show_default=True,
    help="Folder that it is exported into, as NAME/1, NAME/2, …",
)
@click.option("--label", help="Call the version so, such as stable or canary; a version that had the label loses it.")
@click.option("--tile", type=Sizes(), help="Input voxels of the tiles within segment_volume.")
@click.option(
    "--memory", type=Memory(), help="What such a tile may take, in place of its size; 2GB at the first export."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["tensorflow", "openvino", "onnx", "bioimageio"]),
    default="tensorflow",
    show_default=True,
    help="Of other runtimes: serving_default alone, as NAME-onnx/1, NAME-onnx/2, …; needs keras-unet3d[onnx] or "
    "keras-unet3d[openvino]. bioimageio: a zip file for the BioImage Model Zoo, NAME-bioimageio/1/NAME.zip; it holds "
    "the weights for TensorFlow, and as ONNX with keras-unet3d[onnx].",
)
@click.option("--author", "authors", multiple=True, help="Of the model, for bioimageio; repeat for more.")
@click.option(
    "--license", "--licence", "licence", metavar="SPDX", help="Of the model, for bioimageio, such as CC-BY-4.0."
)
@click.option(
    "--example",
    type=Channels(),
    help="For bioimageio: an image whose middle becomes test input and cover. Without, they are made up.",
)
@quiet_option
@json_option
@debug_option
def command(
    sources: tuple[Path, ...],
    name: str | None,
    models: Path,
    label: str | None,
    tile: tuple[int, int, int] | None,
    memory: int | None,
    form: Any,
    authors: tuple[str, ...],
    licence: str | None,
    example: tuple[Path, ...] | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Export MODEL as the next version of a served model, and name it to TensorFlow Serving.

    MODEL is the folder of a model, or of one of its versions. Several become one, whose probabilities are the mean of
    theirs. What unet3d fit exports is served as it is: this is for another name or folder, for tiles as the server's
    memory allows, for several as one, and for labels, by which clients ask for a version.

    Beside the model, in models.config, TensorFlow Serving finds what to serve; the README.md there says how to start
    it. Nothing is overwritten but the lines of this model in models.config.

    \b
    Examples:
      unet3d export models/unet3d --name kidney
      unet3d export models/unet3d --name kidney --label canary
      unet3d export models/kidney/3 --label stable                  label a version that is there
      unet3d export models/unet3d --name kidney --memory 4GB        larger tiles: less work, more memory
      unet3d export models/unet3d/1 models/unet3d/2 --name both     several as one
      unet3d export runs/best/models/unet3d --models /srv/models    in the folder of a server
      unet3d export models/unet3d --name kidney --format onnx       without TensorFlow: ONNX Runtime, OpenVINO
      unet3d export models/kidney-phantom --format bioimageio --author 'Ada Lovelace' --license CC-BY-4.0
                                                                    for Fiji, ilastik and bioimageio.core
    """
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.errors import InputError
    from keras_unet3d.serving.versions import version_folder

    if tile is not None and memory is not None:
        raise click.UsageError("Give only one of --tile and --memory.")
    _check_format(form, serving=(label, tile, memory), zoo=(authors or None, licence, example))
    if name is None:
        if len(sources) > 1:
            raise InputError("Several models become a new one, which needs a name: --name.")
        name = version_folder(sources[0]).resolve().parent.name
    terminal = Terminal(quiet=quiet, as_json=as_json)
    terminal.note(f"Exporting {', '.join(map(str, sources))} …")
    if form == "bioimageio":
        folder = models / f"{name}-{form}"
        file = api.package(list(sources), folder, name=name, authors=authors, licence=licence, example=example)
        if quiet and not as_json:
            click.echo(file)
        terminal.say(f"Package: {file}")
        terminal.result({"package": str(file), "new": True})
        return
    if form != "tensorflow":
        version = api.convert(list(sources), models / f"{name}-{form}", form)
        if quiet and not as_json:
            click.echo(version)
        terminal.say(f"Model: {version}/model.{'xml' if form == 'openvino' else 'onnx'}")
        terminal.result({"model": str(version), "new": True})
        return
    made = api.export(list(sources), models / name, tile=tile, memory=memory, label=label)
    if quiet and not as_json:
        click.echo(made.model)
    terminal.say(f"Model: {made.model}" + ("" if made.is_new else "  (as it was)"))
    terminal.say(made.sentence)
    terminal.result(_as_json(made, label))


def _check_format(form: str, serving: tuple[Any, ...], zoo: tuple[Any, ...]) -> None:
    """Refuse options that are of another format."""
    if form != "tensorflow" and any(option is not None for option in serving):
        raise click.UsageError(f"--label, --tile and --memory belong to TensorFlow Serving, not to --format {form}.")
    if form != "bioimageio" and any(option is not None for option in zoo):
        raise click.UsageError(f"--author, --license and --example belong to --format bioimageio, not to {form}.")


def _as_json(made: Export, label: str | None) -> dict[str, Any]:
    return {
        "model": str(made.model),
        "new": made.is_new,
        "label": label,
        "config": str(made.served.config),
        "written": [str(file) for file in made.served.written],
        "served": None if made.served.only is None else list(made.served.only),
    }
