"""Weights averaged over the last steps (Polyak and Juditsky 1992): steadier than those of any one step."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def averaged_weights(model: keras.Model, optimizer: keras.Optimizer) -> Iterator[None]:
    """Give the model its averaged weights during the block, and those that it learns with back afterwards.

    Args:
        model: that is learning.
        optimizer: keeps the averages; one that keeps none changes nothing.
    """
    learning = [variable.numpy() for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, learning, strict=True):
            variable.assign(value)
