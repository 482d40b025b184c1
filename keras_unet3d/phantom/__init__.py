"""The phantom: a synthetic kidney, the embedded data of the demo and the tests."""

from keras_unet3d.phantom.annotation import annotate, choose_slices
from keras_unet3d.phantom.dataset import SAMPLES, Sample, write_phantom_dataset
from keras_unet3d.phantom.kidney import CHANNELS, SPACING, Phantom, kidney

__all__ = [
    "CHANNELS",
    "SAMPLES",
    "SPACING",
    "Phantom",
    "Sample",
    "annotate",
    "choose_slices",
    "kidney",
    "write_phantom_dataset",
]
