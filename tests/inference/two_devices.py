"""Segment a volume on one and on two logical processors, which a process has to be divided into when it starts.

Run by `test_devices.py`; prints what it found.
"""

import json
import threading

import numpy as np
import tensorflow as tf

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.inference import job
from keras_unet3d.inference.network_predictor import NetworkStream
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.plan_choice import choose_plan
from keras_unet3d.inference.planning import Demand
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.volume import Grid, Volume

SHAPE = (20, 14, 9)
SIZE = NetworkSize(Geometry("valid", 1), filters=4, channels=1, classes=3)
VOXELS = np.random.default_rng(0).normal(size=(*SHAPE, 1)).astype(np.float32)


def random_network(normalization):
    model = build_unet3d((None, None, None, 1), 3, filters=4, depth=1, normalization=normalization)
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "gamma" not in variable.path and "variance" not in variable.path:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def segmented(network, names, memory):
    """Class probabilities, the number of tiles, and the devices that computed on threads of their own."""
    job.devices = lambda: names
    computed, together = {}, threading.Barrier(len(names))

    def push(self, planes, *, last=False):
        thread = threading.current_thread()
        if thread is not threading.main_thread() and thread not in computed:
            together.wait(60)  # each device has a tile before one goes on
        ready = pushed(self, planes, last=last)
        computed[thread] = self._device
        return ready

    pushed, NetworkStream.push = NetworkStream.push, push
    member = job.Member("cells", network, SIZE, bfloat16_agrees=False, mirrored_axes=())
    options = SegmentOptions(memory=memory, precision="float32", probabilities=True)
    work = job.SegmentationJob(
        Volume(VOXELS, Grid(SHAPE)), [member], options, LabelScheme((0, 1, 2), ("background", "a", "b"))
    )
    probabilities = work.run().probabilities[:, :, :]
    NetworkStream.push = pushed
    computed.pop(threading.main_thread(), None)
    return probabilities, len(work.plan.tiles), sorted(computed.values())


def main():
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    several = choose_plan(SHAPE, Demand(SIZE), 10**10, normalizations=6).memory - 1
    found = {}
    for normalization in ("batch", "instance"):
        network = random_network(normalization)
        one, _, _ = segmented(network, (None,), 10**10)
        two, tiles, computed = segmented(network, ("CPU:0", "CPU:1"), several)
        found[normalization] = {
            "tiles": tiles,
            "computed": computed,
            "furthest": float(np.abs(one - two).max()),
            "spread": float(np.ptp(one)),
        }
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
