"""What comes after the last step, in seconds."""

import numpy as np
import pytest

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training import after
from keras_unet3d.training.after import comparison_flop, flop_per_second
from keras_unet3d.training.working_spacing import LabelsOnly

SIZE = NetworkSize(Geometry("same", 1), 2, 1, 2)


def volumes(*edges):
    return [LabelsOnly(np.zeros((edge, edge, edge), np.int16)) for edge in edges]


def test_small_volumes_are_compared_whole_in_both_precisions(monkeypatch):
    monkeypatch.setattr(after, "has_bfloat16", lambda _: True)
    assert comparison_flop(SIZE, volumes(8, 16)) == 2 * (SIZE.flop((8, 8, 8)) + SIZE.flop((16, 16, 16)))
    assert comparison_flop(SIZE, volumes(*[8] * 100)) == 8 * SIZE.flop((8, 8, 8))  # four of them


def test_large_ones_take_so_many_operations_and_no_more(monkeypatch):
    monkeypatch.setattr(after, "has_bfloat16", lambda _: True)
    monkeypatch.setattr(after, "FLOP", 1e6)
    assert comparison_flop(SIZE, volumes(160, 160)) == 2e6


def test_nothing_is_compared_where_there_is_one_precision(monkeypatch):
    monkeypatch.setattr(after, "has_bfloat16", lambda _: False)
    assert comparison_flop(SIZE, volumes(8)) == 0


def test_a_step_computes_three_times_what_a_prediction_does():
    assert flop_per_second(SIZE, (8, 8, 8), 2, 0.5) == pytest.approx(3 * SIZE.flop((8, 8, 8)))
