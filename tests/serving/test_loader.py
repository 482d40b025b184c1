"""Models as TensorFlow Serving loads and runs them: by its C++ function, in a session, without Python.

`loader.cc` is compiled against the headers and libraries of the installed TensorFlow, once for all tests.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.serving.saved_model import load_model

SOURCE = Path(__file__).with_name("loader.cc")
MODELS = Path(__file__).parents[2] / "models"
SHIPPED = sorted(path.parent.name for path in MODELS.glob("*/README.md"))
"""Those of this repository; a user's own may lie beside them."""
NAMES = ["moving", "current", "padded", "group", "several", *SHIPPED]
TYPES = {"float": np.float32, "uint8": np.uint8, "uint16": np.uint16}


@pytest.fixture(scope="session")
def loader(request):
    """The compiled program; where it was compiled before, from the same source for the same TensorFlow, that."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    import tensorflow as tf

    folder = tf.sysconfig.get_lib()
    if not Path(folder, "libtensorflow_cc.so.2").is_file():
        pytest.skip(f"{folder} holds no libtensorflow_cc.so.2")
    libraries = ["-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    flags = ["-w", *tf.sysconfig.get_compile_flags(), f"-L{folder}", *libraries, f"-Wl,-rpath,{folder}"]
    content = SOURCE.read_text(encoding="utf-8") + " ".join([compiler, tf.__version__, *flags])
    program = request.config.cache.mkdir("loader") / hashlib.sha256(content.encode()).hexdigest()[:16]
    with program.with_name("lock").open("w") as lock:  # of several processes that test, one compiles
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            beside = program.with_suffix(".new")
            subprocess.run([compiler, str(SOURCE), "-o", str(beside), *flags], check=True)
            beside.rename(program)
    return program


@dataclass(frozen=True)
class Asked:
    """A model, what it was asked, and what the loader says.

    Attributes:
        path: of the version.
        image: a raw volume of several tiles.
        tiles: of other sizes, with their intensities; one and two of them.
        found: what each call gave, the first and the second time, by the signature and a number.
        signatures: of the model: type and lengths by signature, side and name.
    """

    path: Path
    image: np.ndarray
    tiles: list
    found: dict
    signatures: dict


def _write(path, array):
    path.write_bytes(f"float {' '.join(map(str, array.shape))}\n".encode() + array.astype(np.float32).tobytes())


def _read(path):
    header, _, content = path.read_bytes().partition(b"\n")
    kind, *lengths = header.decode().split()
    return content if kind == "string" else np.frombuffer(content, TYPES[kind]).reshape(*map(int, lengths))


@pytest.fixture(scope="session")
def answers(loader, exported, random_network, describe, tmp_path_factory):
    """Ask all models all signatures, in one process."""
    from keras_unet3d.network.sizes import Geometry
    from keras_unet3d.serving.export import export_model

    networks = [random_network(2, filters=2, depth=1, padding="same", seed=seed) for seed in (3, 4)]
    description = describe(Geometry("same", 1), normalization=None, tile=(20, 24, 26))
    paths = {name: exported[name].path for name in exported}
    paths["several"] = export_model(networks, tmp_path_factory.mktemp("several"), description)
    paths |= {name: MODELS / name / "1" for name in SHIPPED}
    folder, commands, asked = tmp_path_factory.mktemp("loader"), [], {}
    for name in NAMES:
        model = load_model(paths[name])
        rng, channels = np.random.default_rng(0), len(model.description.channels)
        width = 151 if name in SHIPPED else 43  # several tiles of each model
        image = rng.normal(1000, 200, (9, 21, width, channels)).astype(np.float32)
        tiles = []
        for batch, longer in ((1, 0), (2, 1)):
            z, y, x = (axis.minimum + longer * axis.multiple for axis in model.geometry.axes)
            raw = rng.normal(1000, 200, (batch, z, y + 8, x, channels)).astype(np.float32)
            tiles.append((raw, rng.uniform(200, 900, (batch, channels, 2)).astype(np.float32)))
        files = {"volume": image, "numbers": np.zeros(1)}
        for number, (raw, intensity) in enumerate(tiles):
            files |= {f"tile{number}": raw, f"intensity{number}": intensity}
        for file, array in files.items():
            _write(folder / f"{name}.{file}", array)
        place = folder / name
        commands += [f"load {paths[name]}", f"run segment_volume {place}.segment image={place}.volume"]
        commands += [
            f"run serving_default {place}.tiles{number} image={place}.tile{number} intensity={place}.intensity{number}"
            for number in range(2)
        ]
        commands += [
            f"run intensity {place}.found image={place}.volume",
            f"run describe {place}.is batch={place}.numbers",
        ]
        asked[name] = (paths[name], image, tiles)
    done = subprocess.run(
        [str(loader)], input="\n".join(commands), capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = {part.split("\n", 1)[0]: part for part in done.stdout.split("model ")[1:]}
    return {
        name: Asked(*parts, _found(folder, name), _signatures(shown[str(parts[0])])) for name, parts in asked.items()
    }


def _environment():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def _found(folder, name):
    outputs = {
        "segment": "segment.labels",
        "tiles0": "tiles0.probabilities",
        "tiles1": "tiles1.probabilities",
        "intensity": "found.intensity",
        "describe": "is.description",
    }
    return {key: [_read(folder / f"{name}.{output}.{run}") for run in (1, 2)] for key, output in outputs.items()}


def _signatures(text):
    lines = [line.split() for line in text.splitlines() if line.startswith("signature") and "__saved_model" not in line]
    return {(signature, side, name): (kind, *map(int, lengths)) for _, signature, side, name, kind, *lengths in lines}


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_those_of_the_design(name, answers):
    channels, classes = (len(getattr(load_model(answers[name].path).description, of)) for of in ("channels", "classes"))
    labels = "uint8" if name in SHIPPED else "uint16"
    assert answers[name].signatures == {
        ("segment_volume", "input", "image"): ("float", -1, -1, -1, channels),
        ("segment_volume", "output", "labels"): (labels, -1, -1, -1),
        ("serving_default", "input", "image"): ("float", -1, -1, -1, -1, channels),
        ("serving_default", "input", "intensity"): ("float", -1, channels, 2),
        ("serving_default", "output", "probabilities"): ("float", -1, -1, -1, -1, classes),
        ("intensity", "input", "image"): ("float", -1, -1, -1, channels),
        ("intensity", "output", "intensity"): ("float", channels, 2),
        ("describe", "input", "batch"): ("float", -1),
        ("describe", "output", "description"): ("string", -1),
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_twice_is_answered_twice_alike(name, answers):
    for first, second in answers[name].found.values():
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_what_python_gives(name, answers):
    asked, model = answers[name], load_model(answers[name].path)
    for number, (raw, intensity) in enumerate(asked.tiles):
        np.testing.assert_allclose(asked.found[f"tiles{number}"][0], model.probabilities(raw, intensity), atol=1e-5)
    np.testing.assert_allclose(asked.found["intensity"][0], model.description.intensities.of(asked.image), rtol=1e-5)
    assert asked.found["describe"][0].decode() == model.served_description()


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_gets_the_labels_of_unet3d_segment(name, answers):
    """Where the two best classes are not as probable to 1e-5 (DESIGN §1, equal)."""
    asked, model = answers[name], load_model(answers[name].path)
    spacing = model.description.spacing or (1.0, 1.0, 1.0)
    image = unet3d.Volume(asked.image, unet3d.Grid(asked.image.shape[:3], spacing, unit=model.description.unit))
    options = unet3d.SegmentOptions(precision="float32", probabilities=True)
    segmented = unet3d.segment(image, model=model, options=options)
    best = np.sort(segmented.probabilities.voxels, axis=-1)
    sure = best[..., -1] - best[..., -2] > 1e-5
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(asked.found["segment"][0][sure], np.asarray(segmented.labels.voxels)[sure])
