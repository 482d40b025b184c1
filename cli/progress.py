"""Long work as a line that moves; where there is no terminal, as a line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from keras_unet3d.training.listener import Quiet

if TYPE_CHECKING:
    from collections.abc import Callable

    from unet3d_cli.terminal import Terminal

    from keras_unet3d.metrics import Overlap
    from keras_unet3d.training.listener import StepReport

LINE_SHARE, LINE_SECONDS = 0.1, 30.0
"""Without a terminal, a line for every tenth of the work and at least every 30 seconds."""
SHORT_SECONDS = 3.0
"""Cases that are scored within this need no line."""


class _Line:
    """Progress from 0 to 1 with a text beside it; use as a context."""

    def __init__(self, terminal: Terminal, name: str) -> None:
        self._terminal = terminal
        self._name = name
        self._moving: Progress | None = None
        self._task: Any = None
        self._told_share, self._told_time = 0.0, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show(self, share: float, text: str, seconds_left: float | None = None) -> None:
        if self._terminal.quiet:
            return
        if self._terminal.stderr.is_terminal:
            self._move(share, text, seconds_left)
        elif share - self._told_share >= LINE_SHARE or time.monotonic() - self._told_time >= LINE_SECONDS:
            self._told_share, self._told_time = share, time.monotonic()
            left = "" if seconds_left is None else f"{duration(seconds_left)} left"
            known = ", ".join(filter(None, (text, left)))
            self._terminal.note(f"{self._name} {min(share, 1):.0%}{known and f': {known}'}")

    def stop(self) -> None:
        """Leave the line as it is."""
        if self._moving is not None:
            self._moving.stop()
            self._moving = None
        self._told_share = 0.0  # another training may follow

    def _move(self, share: float, text: str, seconds_left: float | None) -> None:
        if self._moving is None:
            fields = [TextColumn(f"{{task.fields[{name}]}}") for name in ("text", "left")]
            columns = [TextColumn(self._name), BarColumn(bar_width=20), TaskProgressColumn(), *fields]
            self._moving = Progress(*columns, console=self._terminal.stderr, refresh_per_second=4)
            self._task = self._moving.add_task("", total=1.0, text="", left="")
            self._moving.start()
        left = "" if seconds_left is None else f"{duration(seconds_left)} left"
        self._moving.update(self._task, completed=min(share, 1.0), text=text, left=left)


class TrainingProgress(Quiet):
    """Tells of a training on the terminal; use as a context, so that the line that moves ends with it.

    Args:
        terminal: where to.
        on_plan: told the plan.
    """

    def __init__(self, terminal: Terminal, on_plan: Callable[[Any], None] = lambda _: None) -> None:
        self._terminal = terminal
        self._on_plan = on_plan
        self._line = _Line(terminal, "Training")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.stop()

    def planned(self, plan: Any) -> None:
        """Hand the plan on."""
        self._on_plan(plan)

    def say(self, text: str) -> None:
        """A line of its own."""
        self._terminal.note(text)

    def step(self, report: StepReport) -> None:
        """Move the line."""
        text = (
            f"step {report.step}, loss {report.loss:.3f}, IoU {report.mean_iou:.2f}, "
            f"{report.steps_per_second:.3g} steps/s, {report.waiting:.0%} waiting for data"
        )
        self._line.show(report.progress, text, report.seconds_left)
        if report.progress >= 1:
            self._line.stop()

    def validated(self, step: int, overlap: Overlap) -> None:
        """A line of its own."""
        self._terminal.note(f"Validation at step {step}: IoU {overlap.mean_iou:.3f}, Dice {overlap.mean_dice:.3f}")


class VoxelProgress(_Line):
    """Tells how far the segmentation of a volume is, and how fast where `begin` says how large it is."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal, "Segmenting")
        self._voxels = 0
        self._begun: tuple[float, float] | None = None

    def begin(self, voxels: int) -> None:
        """Begin with a volume of so many voxels."""
        self._voxels, self._begun = voxels, None

    def done(self, share: float) -> None:
        """This share of the work is done; what was done the first time is no work of this process."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now, share
            return
        start, there_already = self._begun
        rate = (share - there_already) / max(now - start, 1e-9)
        text = f"{rate * self._voxels / 1000:,.0f} thousand voxels/s" if self._voxels else ""
        self.show(share, text, (1 - share) / rate if rate > 0 else None)


class CaseProgress(_Line):
    """Tells how many cases are scored."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal, "Scoring")
        self._start = time.monotonic()

    def done(self, cases: int, total: int, name: str) -> None:
        """So many cases are done, and the one of this name is next."""
        seconds = time.monotonic() - self._start
        if seconds < SHORT_SECONDS or not 0 < cases < total:
            return
        left = seconds / cases * (total - cases)
        self.show(cases / total, f"{name}, {cases} of {total} cases, {cases / seconds:.2g} cases/s", left)


def duration(seconds: float) -> str:
    """``75`` → ``1:15``; hours in front where there are some."""
    if seconds == float("inf"):
        return "some time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
