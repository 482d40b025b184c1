"""Write noise as an image, and the paper's network, untrained, as a model: for the timing of whole commands."""

import sys
from pathlib import Path

import numpy as np
from measurement import CHANNELS, CLASSES, FILTERS

from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.serving import ClassDescription, ModelDescription, TileGeometry, export_model
from keras_unet3d.volumes import Grid, Volume, write_image


def main() -> None:
    image, model, *sizes = sys.argv[1:]
    z, y, x = (int(size) for size in sizes)
    voxels = np.random.default_rng(0).standard_normal((z, y, x, CHANNELS), np.float32)
    write_image(image, Volume(voxels, Grid((z, y, x), unit="mm")))
    description = ModelDescription(
        classes=tuple(ClassDescription(value=value, name=f"class {value}") for value in range(CLASSES)),
        channels=tuple(f"channel {number}" for number in range(CHANNELS)),
        normalization="batch",
        filters=FILTERS,
        geometry=TileGeometry(padding="valid", depth=3),
    )
    network = build_unet3d((None, None, None, CHANNELS), CLASSES, filters=FILTERS, seed=0)
    export_model(network, Path(model), description)


if __name__ == "__main__":
    main()
