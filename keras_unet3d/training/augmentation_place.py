"""Where images of tiles are made, decided from measured times."""

from keras_unet3d.training.crew import Crew
from keras_unet3d.training.settings import Settings

STEPS = 20
"""Steps that are measured before something is decided or said."""
WAITING_SHARE = 0.1
"""Where more of the time than this goes by waiting for tiles, something is done about it, or said."""


class AugmentationPlace:
    """Says where images are made from the next step on, and what to do where steps wait for them.

    With ``augment_on = "auto"`` and a GPU, CPU threads make them at first. Where steps wait, the device makes them, as
    part of the step, and after as many steps again training stays with what was faster. All workers decide by the sum
    of their times, so they decide the same.

    Args:
        settings: resolved.
        crew: the devices that share each step.

    Attributes:
        on_device: whether the device makes images.
    """

    def __init__(self, settings: Settings, crew: Crew) -> None:
        self._crew = crew
        self._elastic = settings.engine == "elasticdeform"
        self.on_device = settings.augment_on == "device"
        (has_gpu,) = crew.agreed([crew.has_gpu])
        self._gpu_could = bool(has_gpu) and not self._elastic and not self.on_device
        self._may_move = self._gpu_could and settings.augment_on == "auto"
        self._rate_before: float | None = None
        self._advised = False
        self._measured: list[tuple[float, float]] = []

    def after_step(self, waited: float, took: float) -> str | None:
        """Take note of a step.

        Args:
            waited: seconds that it waited for its tiles.
            took: seconds in all.

        Returns:
            A sentence, where there is something to say.

        Raises:
            WorkError: if another worker is gone.
        """
        if self._advised and not self._may_move:
            return None
        self._measured.append((waited, took))
        if len(self._measured) <= STEPS:
            return None
        counted, self._measured = self._measured[1:], []  # the first traces, compiles and finds no tiles made ahead
        all_waited, all_took = self._crew.summed([sum(each) for each in zip(*counted, strict=True)])
        waiting, rate = all_waited / all_took, STEPS * self._crew.workers / all_took
        if self._rate_before is not None:
            return self._stay_with_the_faster(self._rate_before, rate)
        if waiting <= WAITING_SHARE:
            return None
        if self._may_move:
            self.on_device, self._rate_before = True, rate
            return (
                f"{waiting:.0%} of the time goes by waiting for training tiles: from now on their images are made "
                f"within the step, on its device. In {STEPS} steps it shows whether that is faster."
            )
        self._advised = True
        return f"{waiting:.0%} of the time goes by waiting for training tiles. To change that: {self._advice()}."

    def _stay_with_the_faster(self, before: float, rate: float) -> str:
        self._may_move, self._gpu_could, self._rate_before = False, False, None
        self.on_device = rate > before
        where = "That is where they are made from now on" if self.on_device else "CPU threads make them again"
        return f"{rate:.3g} steps a second with images made within the step, {before:.3g} without. {where}."

    def _advice(self) -> str:
        ways = ["more CPU cores", "or fewer tiles of a larger network (--filters)"]
        if self._elastic:
            ways.insert(0, "--augmentation compiled, which gives the same tiles")
        elif self._gpu_could:
            ways.insert(0, "--augment-on device, which makes their images on the GPU")
        return ", ".join(ways)
