"""A run that continues keeps what was decided, but for what may change."""

from keras_unet3d.jobs.fitting import FitPlan, _continued
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.settings import Settings


def plan(settings):
    decisions = (Decision("batch_size", "2", "as always"), Decision("recompute", "true", "memory is short now"))
    return FitPlan(None, None, settings, decisions)


def test_what_was_decided_stays_and_only_such_decisions_are_said():
    decided = Settings(batch_size=4, recompute=False)
    continued = _continued(plan(Settings(batch_size=2, recompute=True)), decided, Settings())
    assert continued.settings == decided
    assert continued.decisions == ()
    again = _continued(plan(Settings(batch_size=4, recompute=True)), decided, Settings())
    assert [each.setting for each in again.decisions] == ["batch_size"]


def test_what_changes_rounding_only_is_taken_as_given_now():
    decided = Settings(batch_size=4, recompute=False)
    given = Settings(recompute=True, augment_on="cpu", seed=9)
    settings = _continued(plan(Settings(batch_size=4, recompute=True)), decided, given).settings
    assert (settings.recompute, settings.augment_on, settings.batch_size, settings.seed) == (True, "cpu", 4, 0)
