"""The learning rate over the budget."""

import pytest

from keras_unet3d.training.schedule import learning_rate


@pytest.mark.parametrize(("schedule", "half"), [("polynomial", 0.5**0.9), ("cosine", 0.5), ("constant", 1.0)])
def test_half_way(schedule, half):
    assert learning_rate(schedule, 0.01, 0.5, step=1000) == pytest.approx(0.01 * half)


def test_it_warms_up_and_ends_at_zero():
    assert learning_rate("constant", 1.0, 0.0, 0, warm_up_steps=20) == pytest.approx(1 / 20)
    assert learning_rate("constant", 1.0, 0.0, 19, warm_up_steps=20) == 1.0
    assert learning_rate("constant", 1.0, 0.0, 0, warm_up_steps=0) == 1.0
    assert learning_rate("polynomial", 1.0, 1.0, step=1000) == 0.0
    assert learning_rate("cosine", 1.0, 1.2, step=1000) == pytest.approx(0.0)
