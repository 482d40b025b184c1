import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from keras_unet3d.metrics import Spread
from keras_unet3d.metrics.measures import HAUSDORFF, VOLUME_DIFFERENCE


def test_mean_and_deviation_of_a_sample():
    """1, 2, 3, 4: the mean 2.5, the variance (2.25 + 0.25 + 0.25 + 2.25) / 3."""
    spread = Spread.over([1, 2, math.nan, 3, 4])
    assert (spread.mean, spread.deviation, spread.cases) == (2.5, pytest.approx(math.sqrt(5 / 3)), 4)
    assert math.isnan(Spread.over([0.5]).deviation)
    assert Spread.over([0.5]).mean == 0.5
    assert [str(Spread.over(scores)) for scores in ([0.9, 0.8], [0.5], [])] == ["0.850 ± 0.071", "0.500", "–"]
    nothing = {"mean": None, "standard_deviation": None, "cases": 0, "interval": None, "infinite": 0}
    assert Spread.over([]).as_json() == nothing


def test_of_two_cases_a_quarter_of_the_resamples_holds_only_the_worse_one():
    spread = Spread.over([0.2, 0.8])
    assert (spread.low, spread.high) == (0.2, 0.8)
    assert math.isnan(Spread.over([0.5]).low)


def test_it_is_written_as_its_measure_is_with_what_is_known_below():
    """1 mm and 3 mm: the mean 2, the deviation √2; in a third case the class was missed."""
    assert Spread.over([1, 3, math.inf]).lines(HAUSDORFF) == ["2 ± 1.41", "1 to 3", "∞ in 1 of 3"]
    assert Spread.over([0.1]).lines(VOLUME_DIFFERENCE) == ["+10.0%"]
    assert Spread.over([0.1, 0.2]).lines(VOLUME_DIFFERENCE)[0] == "+15.0% ± 7.1%"
    assert Spread.over([math.nan]).lines(HAUSDORFF) == []


def test_the_interval_is_scipys_to_the_chance_of_resampling():
    """The standard error of 40 cases of deviation 1 is 0.16; both ends agree to a tenth of it."""
    scores = np.random.default_rng(5).normal(size=40)
    spread = Spread.over(scores)
    expected = stats.bootstrap(
        (scores,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (spread.low, spread.high) == pytest.approx(tuple(expected), abs=0.016)


def test_infinite_scores_are_counted_and_in_no_mean():
    spread = Spread.over([1, math.inf, 3, math.nan])
    assert (spread.mean, spread.cases, spread.infinite) == (2, 2, 1)
    assert Spread.over([math.inf]).as_json()["infinite"] == 1


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_it_is_the_same_always_and_around_the_mean(scores):
    spread = Spread.over(scores)
    assert spread == Spread.over(scores)
    assert min(scores) - 1e-12 <= spread.low <= spread.high <= max(scores) + 1e-12
    assert spread.low - 1e-9 <= spread.mean <= spread.high + 1e-9 or len(scores) < 5
