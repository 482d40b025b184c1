"""Small exported models, each beside the network that it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.description import ModelDescription

VALUES = (0, 7, 300)


@dataclass(frozen=True)
class Exported:
    """A served model's newest version, and the network that it must agree with."""

    path: Path
    network: Any
    description: ModelDescription


@pytest.fixture(scope="session")
def describe():
    """A description of a network of two channels and three classes."""

    def description(geometry=Geometry("valid", 1), values=VALUES, **changes):  # noqa: B008 (frozen)
        plain = {
            "classes": [{"value": value, "name": f"structure {value}"} for value in values],
            "channels": ["lectin", "nuclei"],
            "normalization": "batch",
            "filters": 2,
            "geometry": {"padding": geometry.padding, "depth": geometry.depth},
            "unlabeled": 3,
        }
        return ModelDescription.model_validate(plain | changes)

    return description


@pytest.fixture(scope="session")
def exported(tmp_path_factory, random_network, describe):
    """Three models: unpadded with moving statistics, unpadded and deeper with current ones, padded."""
    from keras_unet3d.serving.export import export_model

    models = {}
    for name, padding, depth, statistics, tile in [
        ("moving", "valid", 1, "moving", (22, 26, 20)),
        ("current", "valid", 2, "current", (52, 48, 48)),
        ("padded", "same", 1, "moving", (20, 24, 26)),
    ]:
        network = random_network(2, filters=2, depth=depth, padding=padding, seed=depth)
        description = describe(Geometry(padding, depth), statistics=statistics, tile=tile)
        path = export_model(network, tmp_path_factory.mktemp(name), description)
        models[name] = Exported(path, network, description)
    return models


@pytest.fixture
def noise():
    """A raw image of two channels."""

    def image(*shape):
        return np.random.default_rng(sum(shape)).normal(1000, 200, (*shape, 2)).astype(np.float32)

    return image
