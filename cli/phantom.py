"""`unet3d phantom`: write synthetic kidneys."""

from __future__ import annotations

from pathlib import Path

import click
from unet3d_cli.options import Sizes, debug_option, quiet_option


@click.command("phantom", short_help="Write synthetic kidneys as a dataset.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", type=Sizes(), help="Voxels of every volume; about x=248 y=244 z=64, the paper's, if not said.")
@click.option("--volumes", type=click.IntRange(min=1), default=3, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides everything in them.")
@quiet_option
@debug_option
def command(out: Path, size: tuple[int, int, int] | None, volumes: int, seed: int, quiet: bool) -> None:
    """Write synthetic kidneys to OUT as a dataset: images/, labels/ (some slices), truth/ (all voxels), dataset.json.

    They stand in for the recordings of the 3D U-Net paper: a curled tubule with its lumen in tissue, in three channels.

    \b
    Examples:
      unet3d phantom kidneys
      unet3d phantom small --size 'x=96 y=96 z=32' --volumes 2 --seed 7
    """
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.phantom import write_phantom_dataset

    terminal = Terminal(quiet=quiet)
    folder = write_phantom_dataset(out, size, volumes, seed, lambda name: terminal.note(f"{name} …"))
    terminal.say(
        f"Wrote {folder}: images/, labels/, truth/ and dataset.json.\n"
        f"Next: unet3d check {folder}\n"
        f"      unet3d fit {folder}"
    )
