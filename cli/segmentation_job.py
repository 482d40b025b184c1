"""What `unet3d segment` does with its images, and what it says of them."""

from __future__ import annotations

import time
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_unet3d.errors import UNet3DError
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.api import BlockedSegmentation, Case, Dask, Part, Segmentation, SegmentationPlan
    from keras_unet3d.inference.postprocessing import ClassChange

Image = tuple[Path, ...]
"""Its channels may come in several files."""
Pair = tuple[Image, Path | None]
"""An image and its output."""


class SegmentationJob:
    """Plans or segments images one after the other and keeps what there is to say."""

    def __init__(self, terminal: Terminal, settings: dict[str, Any]) -> None:
        self._terminal = terminal
        self._settings = settings
        self.done: list[dict[str, Any]] = []
        self.failed: list[dict[str, str]] = []

    def plan_all(self, pairs: list[Pair], models: Any, workers: int | None = None) -> None:
        """Say what segmenting images would take; a wrong one does not stop the others, if there are any.

        Args:
            pairs: images, and their outputs.
            models: as the library takes them.
            workers: processes that would share each of them.
        """
        for image, _ in pairs:
            try:
                self.plan(image, models, workers)
            except UNet3DError as error:
                if len(pairs) == 1:
                    raise
                self._fail(image, str(error))
        if len(pairs) > 1:
            self._sum_up(f"{len(self.done)} of {len(pairs)} images were planned.", "planned")

    def segment_all(self, cases: list[Case], models: Any, executor: Dask | Part | None) -> None:
        """Segment images; a wrong one does not stop the others, and a summary lists it."""
        from keras_unet3d import api

        there = 0
        results = api.segment_cases(
            cases,
            model=models,
            options=self._settings["options"],
            executor=executor,
            segment_one=lambda case, loaded: self.segment(case.image, case.output, loaded),
        )
        for result in results:
            case = result.case
            there += result.there
            if result.error:
                self._fail(case.image, result.error)
            elif isinstance(executor, api.Dask) and not result.there:
                for warning in result.warnings:
                    self._terminal.warn(warning)
                self._terminal.say(f"{case.output}: {_listed(result.shares)}; {result.seconds:.1f} s.")
                self.done.append(
                    {
                        "image": str(case),
                        "output": str(case.output),
                        "seconds": round(result.seconds, 2),
                        "shares": result.shares,
                        "warnings": list(result.warnings),
                    }
                )
        number = len(self.done) + len(self.failed) + there
        before = f" {there} were there already." if there else ""
        self._sum_up(f"{len(self.done)} of {number} images were segmented.{before}", "segmented")

    def segment_one(self, image: Image, output: Path, models: Any, executor: Dask | Part | None) -> None:
        """Segment one image."""
        if executor is None:
            self.segment(image, output, models)  # by their paths: a wrong image is found before a model is loaded
        else:
            self.segment_blocks(image, output, models, executor)

    def segment_blocks(self, image: Image, output: Path, models: Any, executor: Dask | Part) -> None:
        """Segment one image, together with other processes."""
        from unet3d_cli.progress import VoxelProgress
        from unet3d_cli.segmentation_plan import as_json, print_notes

        from keras_unet3d import api

        start = time.monotonic()
        self._terminal.note(f"{_shown(image)} → {output}")
        with VoxelProgress(self._terminal) as progress:

            def on_plan(planned: SegmentationPlan) -> None:
                for warning in planned.warnings:
                    self._terminal.warn(warning)
                print_notes(self._terminal.note, planned)
                parts = executor.count if isinstance(executor, api.Part) else 1
                progress.begin(prod(planned.plan.tiles.volume) // parts)

            result = api.segment_in_blocks(
                image,
                output,
                executor=executor,
                model=models,
                options=self._settings["options"],
                on_plan=on_plan,
                on_wait=lambda: self._terminal.note("Another part is preparing the work: waiting for it."),
                progress=progress.done,
            )
        seconds = time.monotonic() - start
        self._say_blocks(result, seconds)
        self.done.append(
            {
                "image": _shown(image),
                "output": str(output),
                "plan": as_json(result.plan) if result.plan else None,
                "blocks": result.blocks,
                "missing": result.missing,
                "seconds": round(seconds, 2),
                "shares": result.shares,
                "warnings": list(result.warnings),
            }
        )

    def _say_blocks(self, result: BlockedSegmentation, seconds: float) -> None:
        if result.plan is None:
            self._terminal.say(f"{result.output}: is there already, of the same image, model and options.")
        elif result.missing:
            self._terminal.say(
                f"{result.blocks - result.missing} of {counted(result.blocks, 'block')} are there; {seconds:.1f} s. "
                f"The part that does the last one writes {result.output}."
            )
        else:
            self._terminal.say(f"{result.output}: {_listed(result.shares)}; {seconds:.1f} s.")

    def _fail(self, image: Image, sentence: str) -> None:
        click.echo(f"Error: {sentence}", err=True)
        self.failed.append({"image": _shown(image), "error": sentence})

    def _sum_up(self, sentence: str, done: str) -> None:
        self._terminal.say(sentence)
        if self.failed:
            click.echo(f"Not {done}: {', '.join(each['image'] for each in self.failed)}", err=True)

    def plan(self, image: Image, models: Any, workers: int | None = None) -> None:
        """Say what segmenting one image would take."""
        from unet3d_cli.segmentation_plan import as_json, facts

        from keras_unet3d import api

        asked = self._settings | ({"workers": workers} if workers is not None else {})
        planned = api.plan_segmentation(image if len(image) > 1 else image[0], model=models, **asked)
        for warning in planned.warnings:
            self._terminal.warn(warning)
        self._terminal.say(_shown(image))
        for name, text in facts(planned).items():
            self._terminal.say(f"  {name + ':':<11} {text}")
        self.done.append({"image": _shown(image), **as_json(planned)})

    def segment(self, image: Image, output: Path, models: Any) -> Segmentation:
        """Segment one image."""
        from unet3d_cli.progress import VoxelProgress
        from unet3d_cli.segmentation_plan import as_json, print_notes

        from keras_unet3d import api

        start = time.monotonic()
        self._terminal.note(f"{_shown(image)} → {output}")
        plans: list[SegmentationPlan] = []
        with VoxelProgress(self._terminal) as progress:

            def on_plan(planned: SegmentationPlan) -> None:
                plans.append(planned)
                for warning in planned.warnings:
                    self._terminal.warn(warning)
                print_notes(self._terminal.note, planned)
                if self._settings["options"].resume and not planned.done:
                    self._terminal.note("Nothing was there to be resumed: beginning.")
                progress.begin(prod(planned.plan.tiles.volume))

            result = api.segment(
                image if len(image) > 1 else image[0],
                output,
                model=models,
                on_plan=on_plan,
                progress=progress.done,
                **self._settings,
            )
        seconds = time.monotonic() - start
        self._say(result, output, seconds)
        self.done.append(
            {
                "image": _shown(image),
                "output": str(output),
                "report": str(self._settings["options"].report or "") or None,
                "plan": as_json(plans[0]),
                "seconds": round(seconds, 2),
                "shares": result.shares,
                "changes": {name: _change_as_json(change) for name, change in result.changes.items()},
                "warnings": list(result.warnings),
            }
        )
        return result

    def _say(self, result: Segmentation, output: Path, seconds: float) -> None:
        from keras_unet3d.volumes.axes import named

        self._terminal.say(f"{output}: {named(result.shape)}; {_listed(result.shares)}; {seconds:.1f} s.")
        for name, change in result.changes.items():
            self._terminal.say(f"{name}: {_changed(change)}.")
        options = self._settings["options"]
        if options.probabilities:
            self._terminal.say(f"{options.probabilities}: probabilities of {', '.join(result.shares)}.")
        if options.uncertainty:
            self._terminal.say(f"{options.uncertainty}: uncertainty, from 0 to 1.")
        if options.report:
            self._terminal.say(f"{options.report}: the report. Open it in a browser.")


def _shown(image: Image) -> str:
    return ",".join(map(str, image))


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def _changed(change: ClassChange) -> str:
    """What post-processing did to a class."""
    did = [
        f"{counted(count, thing)} ({counted(voxels, 'voxel')}) {verb}"
        for count, voxels, thing, verb in (
            (change.removed_components, change.removed_voxels, "component", "removed"),
            (change.filled_holes, change.filled_voxels, "hole", "filled"),
        )
        if count
    ]
    return ", ".join(did) or "nothing was removed or filled"


def _change_as_json(change: ClassChange) -> dict[str, int]:
    return {name: number for name, number in asdict(change).items() if name != "class_index"}
