"""Small exported models, each beside the network that it came from."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_unet3d.inference.axis import axis_tiling
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.warm_up import WARM_UP_FILE
from keras_unet3d.volumes.box import Box, read_mirrored
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities

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
            "geometry": asdict(geometry),
            "unlabeled": 3,
        }
        return ModelDescription.model_validate(plain | changes)

    return description


@pytest.fixture(scope="session")
def exported(tmp_path_factory, random_network, describe):
    """Unpadded with moving statistics and with current ones, padded, deeper and pooled unevenly, padded with groups."""
    from keras_unet3d.serving.export import export_model

    models = {}
    for name, geometry, normalization, statistics, tile in [
        ("moving", Geometry("valid", 1), "batch", "moving", (22, 26, 20)),
        ("current", Geometry("valid", 1), "batch", "current", (22, 26, 20)),
        ("padded", Geometry("same", 2, (1, 0, 0)), "batch", "moving", (28, 52, 56)),
        ("group", Geometry("same", 1), "group", "moving", (20, 24, 26)),
    ]:
        network = random_network(2, filters=2, normalization=normalization, seed=geometry.depth, **asdict(geometry))
        description = describe(geometry, normalization=normalization, statistics=statistics, tile=tile)
        path = export_model(network, tmp_path_factory.mktemp(name), description)
        models[name] = Exported(path, network, description)
    return models


@pytest.fixture
def noise():
    """A raw image of two channels."""

    def image(*shape):
        return np.random.default_rng(sum(shape)).normal(1000, 200, (*shape, 2)).astype(np.float32)

    return image


@dataclass(frozen=True)
class Served:
    """A network as it is served: raw tiles or volumes in, probabilities out, computed by Keras alone."""

    network: Any
    geometry: Geometry
    intensities: Intensities = PER_VOLUME

    def tiles(self, raw, intensity):
        logits = self.network(self.intensities.normalised(raw, intensity), training=False).numpy().astype(np.float64)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def volume(self, image):
        """The whole mirrored volume in one tile."""
        axes = list(map(axis_tiling, image.shape[:3], (1000,) * 3, self.geometry.axes))
        read = Box.at([axis.read_start(0) for axis in axes], [axis.whole for axis in axes])
        crop = Box.at([axis.crop_start(0) for axis in axes], image.shape[:3])
        return self.tiles(read_mirrored(image, read)[None], self.intensities.of(image)[None])[0][crop.slices]

    def assert_labels(self, labels, image, values):
        """The most probable values, save where two are as probable to rounding."""
        probabilities = self.volume(image)
        best = np.sort(probabilities, axis=-1)
        differing = labels != np.asarray(values)[probabilities.argmax(axis=-1)]
        assert (best[..., -1] - best[..., -2])[differing].max(initial=0) < 1e-4


@pytest.fixture(scope="session")
def served():
    """Serve a network, or an exported model's with the statistics that it names."""
    from keras_unet3d.network.statistics import with_current_statistics

    def serve(of, geometry=None, intensities=PER_VOLUME):
        if not isinstance(of, Exported):
            return Served(of, geometry, intensities)
        network = with_current_statistics(of.network) if of.description.statistics == "current" else of.network
        return Served(network, of.description.geometry.geometry, of.description.intensities)

    return serve


FAULTS = (
    "",
    "content",
    "slow=30",
    "slow=0.4",
    "die-after=2",
    "die-after=3",
    "die-after=1,restart=0.5",
    "loading=0.7",
    "unloaded=0.7",
    "refuse=100000",
    "version=9",
    "nonsense",
    "token=sesame",
)
"""Of the ports of the stand-in; one that dies serves one test."""


@dataclass(frozen=True)
class Ports:
    """A stand-in for TensorFlow Serving, in a process of its own.

    Attributes:
        addresses: of its ports, by their faults.
        models: folders that it serves, by name.
        authority: the certificate of the port that speaks TLS, None where none could be made.
    """

    addresses: dict[str, str]
    models: dict[str, Path]
    authority: Path | None

    def __getitem__(self, faults):
        return self.addresses[faults]


@pytest.fixture(scope="session")
def stand_in():
    """Run the stand-in; gives the addresses of its ports."""
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api, which the stand-in speaks, is missing")

    @contextmanager
    def running(models, faults, *others):
        command = [sys.executable, str(Path(__file__).with_name("fake_server.py")), *others]
        command += [f"--model={name}={folder}" for name, folder in models.items()]
        command += [f"--listen={each}" for each in faults]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield [f"localhost:{number}" for number in json.loads(process.stdout.readline())]
            finally:
                process.kill()

    return running


@pytest.fixture(scope="session")
def ports(stand_in, exported, tmp_path_factory, random_network, describe):
    """Serve some models, one of them without ``describe``, one that expects a spacing and has a window."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    from keras_unet3d.serving.export import export_model

    models = {name: exported[name].path.parent for name in ("moving", "padded", "group")}
    silent = shutil.copytree(models["moving"], tmp_path_factory.mktemp("served") / "silent")
    saved = SavedModel.FromString((silent / "1" / "saved_model.pb").read_bytes())
    del saved.meta_graphs[0].signature_def["describe"]
    (silent / "1" / "saved_model.pb").write_bytes(saved.SerializeToString())
    (silent / "1" / WARM_UP_FILE).unlink()  # which would ask for it
    spaced = describe(
        Geometry("same", 1),
        tile=(20, 24, 26),
        spacing=(1.5, 1.0, 1.0),
        unit="mm",
        resampled=True,
        mirrored_axes=("x",),
        intensity={"windows": {"nuclei": {"low": 800, "high": 1200, "offset": 1000, "scale": 100}}},
    )
    network = random_network(2, filters=2, depth=1, padding="same", normalization="batch", seed=5)
    models |= {"silent": silent, "spaced": export_model(network, silent.parent / "spaced", spaced).parent}

    certificate = _certificate(silent.parent)
    faults = [*FAULTS, *([f"tls={certificate}:{certificate.with_suffix('.key')}"] if certificate else [])]
    with stand_in(models, faults, "--label", "moving:stable=1") as found:
        yield Ports(dict(zip([*FAULTS, "tls"], found, strict=False)), models, certificate)


def _certificate(folder):
    """One that signs itself, for localhost, and its key beside it."""
    if shutil.which("openssl") is None:
        return None
    certificate = folder / "authority.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    files = ["-out", str(certificate), "-keyout", str(certificate.with_suffix(".key"))]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return certificate
