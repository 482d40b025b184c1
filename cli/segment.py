"""`unet3d segment`: label every voxel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import Channels, debug_option, json_option, meaning_options, quiet_option, read_meaning

from keras_unet3d.errors import InputError, UNet3DError

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.annotation import LabelScheme
    from keras_unet3d.api import Segmentation

Image = tuple[Path, ...]


@click.command("segment", short_help="Label every voxel of images.")
@click.argument("files", nargs=-1, required=True, type=Channels(), metavar="IN OUT | IN… --out-dir FOLDER")
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path),
    help="Segment every IN into this folder: names stay, and so do formats that hold labels (else .nii.gz).",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default="models/unet3d",
    show_default=True,
    help="A model's folder; without a version, the newest.",
)
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="FILE", help="An annotation of IN; what it says stays."
)
@meaning_options
@click.option(
    "--probabilities", type=click.Path(path_type=Path), metavar="FILE", help="Write class probabilities, too."
)
@quiet_option
@json_option
@debug_option
def command(
    files: tuple[Image, ...],
    out_dir: Path | None,
    model: Path,
    keep: Path | None,
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    probabilities: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Label every voxel of IN; OUT has the grid of IN, and its suffix is its format.

    The channels of one IN can come in several files, with commas between. A folder is read as one DICOM series.

    \b
    Examples:
      unet3d segment scan.nii.gz labels.nii.gz
      unet3d segment scan.tif labels.seg.nrrd --model models/kidney-phantom
      unet3d segment scan_c0.tif,scan_c1.tif labels.tif --probabilities probabilities.tif
      unet3d segment scan.nii.gz labels.nii.gz --keep annotation.nii.gz
      unet3d segment a.nii.gz b.nii.gz --out-dir segmented
    """
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.serving.description import read_description
    from keras_unet3d.serving.versions import version_folder
    from keras_unet3d.volumes.outputs import check_output_folder, check_outputs, output_for

    pairs = _pairs(files) if out_dir is None else [(image, output_for(image, out_dir)) for image in files]
    if len(pairs) > 1 and (keep or probabilities):
        raise click.UsageError("--keep and --probabilities belong to one image. Give one IN.")
    meaning = read_meaning(annotated_slices, unlabeled, dense=dense)
    if out_dir is not None:
        check_output_folder(out_dir)
    check_outputs(pairs, others=[probabilities] if probabilities else [], in_new_folder=out_dir is not None)
    version = version_folder(model)  # one for all images, also if a newer one appears meanwhile
    _check_replaced([output for _, output in pairs], read_description(version).scheme)

    terminal = Terminal(quiet=quiet, as_json=as_json)
    terminal.note(f"Model: {version}")
    job = _Job(terminal, {"keep": keep, "meaning": meaning, "probabilities": probabilities})
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
    if len(pairs) == 1:
        job.run(*pairs[0], version)  # by its path: a wrong image is found before the model is loaded
    else:
        job.run_all(pairs, api.load_model(version))
    terminal.result({"model": str(version), "segmented": job.done, "failed": job.failed})
    if job.failed:
        raise click.exceptions.Exit(1)


def _pairs(files: tuple[Image, ...]) -> list[tuple[Image, Path]]:
    """IN and OUT, where no folder was named."""
    if len(files) != 2 or len(files[1]) > 1:
        raise click.UsageError(
            f"Expected one IN and one OUT, or --out-dir FOLDER for any number of images. Received: {len(files)} "
            f"{'file' if len(files) == 1 else 'files'}, without --out-dir."
        )
    return [(files[0], files[1][0])]


def _check_replaced(outputs: list[Path], scheme: LabelScheme) -> None:
    """Make sure that only label maps are replaced: in ``segment a.nii b.nii``, b.nii may be meant as an IN."""
    from keras_unet3d.volumes import read_labels, suffix_of

    for output in outputs:
        if not output.is_file() or suffix_of(output) in (".h5", ".hdf5"):  # HDF5 keeps its other datasets
            continue
        try:
            scheme.class_index(read_labels(output).voxels)
        except InputError as error:
            raise InputError(
                f"{output}: exists, and is no label map of this model, so it is not replaced. Remove it, name another "
                "file, or segment several images with --out-dir FOLDER."
            ) from error


class _Job:
    """Segments images one after the other and keeps what there is to say."""

    def __init__(self, terminal: Terminal, options: dict[str, Any]) -> None:
        self._terminal = terminal
        self._options = options
        self.done: list[dict[str, Any]] = []
        self.failed: list[dict[str, str]] = []

    def run_all(self, pairs: list[tuple[Image, Path]], model: Any) -> None:
        """A wrong image does not stop the others; a summary lists it."""
        for image, output in pairs:
            try:
                self.run(image, output, model)
            except UNet3DError as error:
                click.echo(f"Error: {error}", err=True)
                self.failed.append({"image": _shown(image), "error": str(error)})
        self._terminal.say(f"{len(self.done)} of {len(pairs)} images were segmented.")
        if self.failed:
            click.echo(f"Not segmented: {', '.join(each['image'] for each in self.failed)}", err=True)

    def run(self, image: Image, output: Path, model: Any) -> None:
        """Segment one image."""
        from unet3d_cli.progress import VoxelProgress

        from keras_unet3d import api

        start = time.monotonic()
        self._terminal.note(f"{_shown(image)} → {output}")
        with VoxelProgress(self._terminal) as progress:
            result = api.segment(
                image if len(image) > 1 else image[0],
                output,
                model=model,
                on_plan=progress.planned,
                progress=progress.done,
                **self._options,
            )
        seconds = time.monotonic() - start
        for warning in result.warnings:
            self._terminal.warn(warning)
        shares = _shares(result)
        listed = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        self._terminal.say(f"{output}: {result.labels.grid}; {listed}; {seconds:.1f} s.")
        if self._options["probabilities"]:
            self._terminal.say(f"{self._options['probabilities']}: probabilities of {', '.join(shares)}.")
        self.done.append(
            {
                "image": _shown(image),
                "output": str(output),
                "tiles": len(result.plan),
                "seconds": round(seconds, 2),
                "shares": shares,
                "warnings": list(result.warnings),
            }
        )


def _shown(image: Image) -> str:
    return ",".join(map(str, image))


def _shares(result: Segmentation) -> dict[str, float]:
    """The share of the volume that each class has."""
    import numpy as np

    voxels = result.labels.voxels
    found = dict(zip(*(part.tolist() for part in np.unique(voxels, return_counts=True)), strict=True))
    return {segment.name: found.get(value, 0) / voxels.size for value, segment in result.labels.segments.items()}
