"""Several networks as one, as part of a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def summed_probabilities(networks: Sequence[Callable[[Any], Any]], tiles: Any) -> Any:
    """The sum of the class probabilities that networks give, one network after the other.

    Each waits for the one before it: all of them take the memory of one, where TensorFlow would compute them at once.

    Args:
        networks: from normalised ``(batch, z, y, x, channel)`` to logits; at least one.
        tiles: what all of them are given.

    Returns:
        ``(batch, z, y, x, class)``; the mean times the number of networks.
    """
    total = tf.nn.softmax(networks[0](tiles))
    for network in networks[1:]:
        with tf.control_dependencies([total]):
            total += tf.nn.softmax(network(tiles))
    return total
