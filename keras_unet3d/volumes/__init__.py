"""Volumes: voxels and their grid in space, reading, writing, mirroring."""

from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.opening import open_image
from keras_unet3d.volumes.reading import read_image, read_labels
from keras_unet3d.volumes.region import Region
from keras_unet3d.volumes.suffixes import stem_of, suffix_of
from keras_unet3d.volumes.volume import Grid, Segment, Volume
from keras_unet3d.volumes.whole_file import written_whole, written_whole_folder
from keras_unet3d.volumes.writing import write_image, write_labels

__all__ = [
    "Box",
    "Grid",
    "Region",
    "Segment",
    "Volume",
    "open_image",
    "read_image",
    "read_labels",
    "stem_of",
    "suffix_of",
    "write_image",
    "write_labels",
    "written_whole",
    "written_whole_folder",
]
