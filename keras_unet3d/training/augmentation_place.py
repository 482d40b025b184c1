"""Where images of tiles are made, decided from measured times."""

from keras_unet3d.augmentation.engines import choose_engine
from keras_unet3d.training.crew import Crew
from keras_unet3d.training.settings import Settings

STEPS = 20
"""Steps that are measured before something is decided or said."""
WAITING_SHARE = 0.1
"""Where more of the time than this goes by waiting for tiles, something is done about it, or said."""


class AugmentationPlace:
    """Says where images are made from the next step on, and what to do where steps wait for them.

    With ``augment_on = "auto"`` and a GPU, CPU threads make them at first. Where steps wait, the device makes them, at
    the beginning of each step, and after as many steps again training stays with what was faster. Several processes
    that share steps never move by themselves: what fails in one would leave the others waiting.

    Args:
        settings: `engine` and `augment_on` are looked at.
        crew: the devices that share each step.

    Attributes:
        on_device: whether the device makes images.
    """

    def __init__(self, settings: Settings, crew: Crew) -> None:
        self._elastic = choose_engine(settings.engine).name == "elasticdeform"
        self.on_device = settings.augment_on == "device"
        self._gpu_could = crew.has_gpu and not self._elastic and not self.on_device
        self._may_move = self._gpu_could and settings.augment_on == "auto" and crew.workers == 1
        self._rate_before: float | None = None
        self._advised = False
        self._measured: list[tuple[float, float]] = []

    def after_step(self, waited: float, took: float) -> str | None:
        """Take note of a step.

        Args:
            waited: seconds that it waited for its tiles.
            took: seconds in all, from one call to the next.

        Returns:
            A sentence, where there is something to say.
        """
        if self._advised and not self._may_move:
            return None
        self._measured.append((waited, took))
        if len(self._measured) <= STEPS:
            return None
        counted, self._measured = self._measured[1:], []  # the first traces, compiles and finds no tiles made ahead
        all_waited, all_took = (sum(each) for each in zip(*counted, strict=True))
        waiting, rate = all_waited / all_took, STEPS / all_took
        if self._rate_before is not None:
            return self._stay_with_the_faster(self._rate_before, rate)
        if waiting <= WAITING_SHARE:
            return None
        if self._may_move:
            self.on_device, self._rate_before = True, rate
            return (
                f"{waiting:.0%} of the time goes by waiting for training tiles: from now on the GPU makes their "
                f"images. In {STEPS} steps it shows whether that is faster."
            )
        self._advised = True
        return f"{waiting:.0%} of the time goes by waiting for training tiles. To change that: {self._advice()}."

    def _stay_with_the_faster(self, before: float, rate: float) -> str:
        self._may_move, self._gpu_could, self._rate_before = False, False, None
        self.on_device = rate > before
        where = "It goes on with them" if self.on_device else "CPU threads make them again"
        return f"{rate:.3g} steps a second where the GPU makes images, {before:.3g} where it does not. {where}."

    @property
    def on_trial(self) -> bool:
        """Whether the device makes images to see whether that is faster."""
        return self._rate_before is not None

    def give_up(self, why: str) -> str:
        """CPU threads make images again, as the device cannot; returns what to say."""
        self.on_device, self._may_move, self._gpu_could, self._rate_before = False, False, False, None
        self._measured = []
        return f"The GPU cannot make the images of tiles ({why}). CPU threads make them again."

    def _advice(self) -> str:
        ways = ["more CPU cores", "or fewer tiles of a larger network (--filters)"]
        if self._elastic:
            ways.insert(0, "--augmentation compiled, which gives the same tiles")
        elif self._gpu_could:
            ways.insert(0, "--augment-on device, which makes their images on the GPU")
        return ", ".join(ways)
