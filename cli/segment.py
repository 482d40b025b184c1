"""`unet3d segment`: label every voxel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from unet3d_cli.options import (
    Channels,
    Memory,
    Region,
    SectionedCommand,
    debug_option,
    json_option,
    meaning_options,
    quiet_option,
    read_meaning,
)
from unet3d_cli.segmentation_job import Image, Pair, SegmentationJob
from unet3d_cli.servers import OPTIONS, read_client, server_options
from unet3d_cli.workers import OPTIONS as WORKERS
from unet3d_cli.workers import read_executor, worker_options

SECTIONS = {
    "Model": ("models", "precision", "statistics", "mirrored"),
    "Results": ("out_dir", "report", "probabilities", "uncertainty", "keep", "annotated_slices", "unlabeled", "dense"),
    "Parts of large images": ("region", "level"),
    "Afterwards, to each class but the background": ("largest_component", "min_size_mm3", "fill_holes"),
    "Memory and time": ("memory", "plan_only", "resume"),
    "Several processes": WORKERS,
    "A model on TensorFlow Serving": OPTIONS,
}


@click.command("segment", cls=SectionedCommand, sections=SECTIONS, short_help="Label every voxel of images.")
@click.argument("files", nargs=-1, required=True, type=Channels(), metavar="IN OUT | IN… --out-dir FOLDER")
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Segment every IN into this folder: names stay, and so do formats that hold labels (else .nii.gz). What is "
    "there already, of the same image, model and options, is left as it is.",
)
@click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    multiple=True,
    default=["models/unet3d"],
    show_default=True,
    help="A model's folder; without a version, the newest. Repeat for others: their probabilities are averaged.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of the computation. auto: bfloat16 where this machine is faster with it and the model was seen to give the "
    "same labels (unet3d info says whether).",
)
@click.option(
    "--statistics",
    type=click.Choice(["volume", "current"]),
    default="volume",
    show_default=True,
    help="Of the whole volume, or of each tile, which can leave seams. Matters only for models that normalise by the "
    "statistics of what they are given.",
)
@click.option(
    "--tta", "mirrored", is_flag=True, help="Average over mirrored tiles, along the axes that training mirrored."
)
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="FILE", help="An annotation of IN; what it says stays."
)
@meaning_options
@click.option(
    "--probabilities", type=click.Path(path_type=Path), metavar="FILE", help="Write class probabilities, too."
)
@click.option(
    "--uncertainty",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write how undecided the probabilities are, too: their entropy, from 0, sure, to 1.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a page to judge the result by, too: slices, a 3D view, volumes, uncertainty. It opens offline.",
)
@click.option(
    "--region",
    type=Region(),
    help="Segment this part of IN alone, in voxels counted from 0; OUT lies where the part does, with the labels that "
    "all of IN would get there.",
)
@click.option(
    "--level",
    type=click.IntRange(min=0),
    metavar="N",
    help="Segment this level of an OME-Zarr image, 0 for the finest; OUT has its grid.",
)
@click.option("--largest-component", is_flag=True, help="Keep only the largest component.")
@click.option(
    "--min-size", "min_size_mm3", type=float, metavar="MM3", help="Remove components below this volume, in mm³."
)
@click.option("--fill-holes", is_flag=True, help="Fill background that it encloses.")
@click.option(
    "--memory",
    type=Memory(),
    help="What the process may take, at most (of a GPU, its memory). By default what it holds and 75% of what is free.",
)
@click.option(
    "--plan", "plan_only", is_flag=True, help="Say tiles, work, memory and time, and stop; OUT may be left out."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with what a killed call with the same images, models and options has left. An OUT that was finished is "
    "done again.",
)
@worker_options
@server_options
@quiet_option
@json_option
@debug_option
def command(
    files: tuple[Image, ...],
    out_dir: Path | None,
    models: tuple[Path, ...],
    keep: Path | None,
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    plan_only: bool,
    dask: str | None,
    part: str | None,
    quiet: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Label every voxel of IN; OUT has the grid of IN, and its suffix is its format.

    The channels of one IN can come in several files, with commas between. A folder is read as one DICOM series.
    IN may be larger than memory: the work is planned before it starts, and what is done is kept on disk.

    \b
    Examples:
      unet3d segment scan.nii.gz labels.nii.gz
      unet3d segment scan.tif labels.seg.nrrd --model models/kidney-phantom
      unet3d segment scan_c0.tif,scan_c1.tif labels.tif --probabilities probabilities.tif
      unet3d segment scan.nii.gz labels.nii.gz --keep annotation.nii.gz
      unet3d segment scan.nii.gz labels.nii.gz --report report.html
      unet3d segment a.nii.gz b.nii.gz --out-dir segmented
    A part of an image, and a coarser level of an OME-Zarr:
      unet3d segment scan.nii.gz part.nii.gz --region 'z=100:200 x=50:'
      unet3d segment brain.ome.zarr labels.ome.zarr --level 2
    What will it take, and with less memory?
      unet3d segment scan.nii.gz --plan
      unet3d segment scan.nii.gz --plan --memory 4GB
    Better answers for more time:
      unet3d segment scan.nii.gz labels.nii.gz --tta --uncertainty unsure.nii.gz
      unet3d segment scan.nii.gz labels.nii.gz --model models/a --model models/b
    A volume that several processes share, and many volumes:
      unet3d segment brain.ome.zarr labels.ome.zarr --dask slurm:20
      unet3d segment brain.ome.zarr labels.ome.zarr --part 3/8
      unet3d segment a.nii.gz b.nii.gz c.nii.gz --out-dir segmented --dask local:2
    With a model on TensorFlow Serving, and without TensorFlow here:
      unet3d segment scan.nii.gz labels.nii.gz --server gpu-server:8500 --model-name kidney
    """
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.jobs.replacing import check_replaced
    from keras_unet3d.jobs.segmenting_blocks import check_blocks
    from keras_unet3d.serving.description import read_description
    from keras_unet3d.serving.versions import version_folder
    from keras_unet3d.volumes.outputs import check_output_folder, check_outputs

    pairs = _pairs(files, out_dir, plan_only=plan_only)
    others = [file for file in (asked["probabilities"], asked["uncertainty"]) if file]
    if len(pairs) > 1 and (keep or asked["report"] or others):
        raise click.UsageError("--keep, --report, --probabilities and --uncertainty belong to one image. Give one IN.")
    if (dask or part) and keep:
        raise click.UsageError("--keep is for one process. Leave it out, or --dask and --part.")
    meaning = read_meaning(annotated_slices, unlabeled, dense=dense)
    client = read_client(models, **{name: asked.pop(name) for name in OPTIONS})
    options = _options(**asked)
    if out_dir is not None:
        check_output_folder(out_dir)
    written = [(image, output) for image, output in pairs if output is not None]
    check_outputs(written, others=others, in_folder=out_dir is not None, may_be_there=bool(dask or part))
    # For all images, also if newer ones appear meanwhile.
    sources: list[Any] = [client] if client else [version_folder(model) for model in models]
    cases = [api.Case(*pair, keep, meaning) for pair in written] if out_dir is not None else []
    if not plan_only and out_dir is None:
        description = client.description if client else read_description(sources[0])
        check_replaced(written[0][1], description.scheme)
        if dask or part:
            check_blocks(written[0][1], options)
    if dask:
        api.Dask.check_models(sources)

    terminal = Terminal(quiet=quiet, as_json=as_json)
    terminal.note(f"Model: {', '.join(map(str, sources))}")
    job = SegmentationJob(terminal, {"keep": keep, "meaning": meaning, "options": options})
    with read_executor(terminal, dask=dask, part=part, start=not plan_only) as executor:
        if plan_only:
            shared = executor.workers if executor is not None and out_dir is None else None
            job.plan_all(pairs, sources if client or len(pairs) == 1 else api.load_models(sources), shared)
        elif out_dir is not None:
            out_dir.mkdir(parents=True, exist_ok=True)
            job.segment_all(cases, sources, executor)
        else:
            job.segment_one(*written[0], sources, executor)
    done = "planned" if plan_only else "segmented"
    terminal.result({"models": list(map(str, sources)), done: job.done, "failed": job.failed})
    if job.failed:
        raise click.exceptions.Exit(1)


def _pairs(files: tuple[Image, ...], out_dir: Path | None, *, plan_only: bool) -> list[Pair]:
    """Every IN with its OUT."""
    from keras_unet3d.volumes.outputs import output_for

    if out_dir is not None:
        return [(image, output_for(image, out_dir)) for image in files]
    if plan_only and len(files) == 1:
        return [(files[0], None)]
    if len(files) != 2 or len(files[1]) > 1:
        raise click.UsageError(
            f"Expected one IN and one OUT, or --out-dir FOLDER for any number of images. Received: {len(files)} "
            f"{'file' if len(files) == 1 else 'files'}, without --out-dir."
        )
    return [(files[0], files[1][0])]


def _options(*, largest_component: bool, min_size_mm3: float | None, fill_holes: bool, **asked: Any) -> Any:
    """All that is asked for, in the library's words."""
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.postprocessing import PostProcessing

    post_processing = PostProcessing(largest_component, min_size_mm3, fill_holes)
    return SegmentOptions(post_processing=post_processing, **asked)
