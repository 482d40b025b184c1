"""What `fit` hands on to a training."""

import time

import pytest

from keras_unet3d import api
from keras_unet3d.errors import InputError
from keras_unet3d.phantom import write_phantom_dataset
from keras_unet3d.training import trainer
from keras_unet3d.training.settings import Settings


class BegunError(Exception):
    """Ends a training where it begins."""


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Call `fit` on a small kidney; `begin` is called with the arguments of the training."""
    data = write_phantom_dataset(tmp_path / "kidneys", (16, 16, 16), volumes=1)

    def call(begin):
        monkeypatch.setattr(trainer, "Training", begin)
        with pytest.raises(BegunError):
            api.fit(data, Settings(minutes=1.0), models=tmp_path / "models", runs=tmp_path / "runs")

    return call


def test_the_minutes_begin_with_the_call_and_not_after_reading(fit, monkeypatch):
    usual, starts = api.load_cases, []

    def slow(*arguments):
        time.sleep(0.5)
        return usual(*arguments)

    def begin(*arguments):
        starts.append(arguments[-1])
        raise BegunError

    monkeypatch.setattr(api, "load_cases", slow)
    called = time.monotonic()
    fit(begin)
    assert 0 <= starts[0] - called < 0.4


def test_the_same_training_does_not_run_twice_at_once_and_runs_again_after_its_end(fit):
    refused = []

    def begin_twice(*_arguments):
        def never(*_arguments):
            pytest.fail("two at work in one folder")

        with pytest.raises(InputError, match=r"runs/unet3d/1: the same training is running already") as error:
            fit(never)
        refused.append(error)
        raise BegunError

    def begin(*_arguments):
        raise BegunError

    fit(begin_twice)
    fit(begin)
    assert len(refused) == 1
