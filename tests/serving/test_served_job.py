"""A volume that servers segment: equal to the local one, whatever happens to the servers on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.serving import Access, Client

SHAPE = (20, 30, 26)


@pytest.fixture
def client(ports):
    """Make a client of a model behind ports with these faults."""

    def make(*faults, model="moving", **access):
        addresses = [ports.addresses.get(each, each) for each in faults]
        return Client(addresses, model, access=Access(**({"deadline": 20, "patience": 2} | access)))

    return make


@pytest.fixture
def image(noise):
    return unet3d.Volume(noise(*SHAPE), unet3d.Grid(SHAPE, (1.5, 1.0, 1.0), unit="mm"))


@pytest.fixture
def file(tmp_path, image):
    unet3d.write_image(tmp_path / "image.nii", image)
    return tmp_path / "image.nii"


def options(**asked):
    return unet3d.SegmentOptions(**({"probabilities": True, "precision": "float32"} | asked))


def assert_same(served, local):
    """Probabilities to rounding; labels save where two are as probable to rounding."""
    np.testing.assert_allclose(served.probabilities.voxels, local.probabilities.voxels, atol=1e-5)
    best = np.sort(local.probabilities.voxels, axis=-1)
    unsure = best[..., -1] - best[..., -2] < 1e-5
    assert ((served.labels.voxels == local.labels.voxels) | unsure).all()
    assert unsure.mean() < 0.01


@pytest.mark.parametrize("model", ["moving", "padded"])
def test_served_equals_local(client, ports, noise, model):
    """In several tiles, over two servers with several requests each, in either form of reply."""
    image = unet3d.Volume(noise(30, 44, 50), unet3d.Grid((30, 44, 50)))
    local = unet3d.segment(image, model=str(ports.models[model]), options=options())
    several = client("", "content", model=model, in_flight=3)
    served = unet3d.segment(image, model=several, options=options())
    assert_same(served, local)
    assert len(served.plan.tiles) > 1
    assert several.traffic.requests == len(served.plan.tiles) + 2  # metadata, and what the model is
    assert (served.precision, served.statistics) == ("float32", "moving")


def test_working_spacing_windows_and_mirrored_tiles(client, ports, noise):
    """An image of another spacing is resampled here, and its labels back; two requests a tile, mirrored along x."""
    shape = (20, 30, 26)
    image = unet3d.Volume(noise(*shape), unet3d.Grid(shape, (1.0, 1.3, 0.8), unit="mm"))
    asked = options(mirrored=True)
    local = unet3d.segment(image, model=str(ports.models["spaced"]), options=asked)
    served = unet3d.segment(image, model=client("", model="spaced"), options=asked)
    assert_same(served, local)
    assert served.labels.grid == image.grid
    assert served.plan.tiles.volume != shape


def test_statistics_of_the_volume_are_those_of_one_tile_or_refused(client, ports, image, noise):
    small = unet3d.Volume(noise(12, 14, 16), unet3d.Grid((12, 14, 16)))
    local = unet3d.segment(small, model=str(ports.models["group"]), options=options())
    assert_same(unet3d.segment(small, model=client("", model="group"), options=options()), local)
    with pytest.raises(unet3d.InputError, match="--statistics current"):
        unet3d.segment(image, model=client("", model="group"))
    planned = unet3d.plan_segmentation(image, model=client("", model="group"), options=options(statistics="current"))
    assert "depend on where the tiles lie" in planned.warnings[-1]


def test_smaller_messages_give_the_same(client, image):
    """Below what the port refuses; the model's own tile of 22 × 26 × 20 voxels of two channels would take 92 kB."""
    whole = unet3d.segment(image, model=client(""), options=options())
    limited = unet3d.segment(image, model=client("refuse=100000", largest_message=80_000), options=options())
    assert len(limited.plan.tiles) > len(whole.plan.tiles)
    assert_same(limited, whole)


def test_a_server_that_dies_half_way_is_left_out(client, noise):
    image = unet3d.Volume(noise(12, 14, 12), unet3d.Grid((12, 14, 12)))
    whole = unet3d.segment(image, model=client(""), options=options())
    with pytest.warns(UserWarning, match="The other servers go on without it"):
        served = unet3d.segment(image, model=client("die-after=2", "slow=0.4"), options=options())
    np.testing.assert_array_equal(served.labels.voxels, whole.labels.voxels)


def test_what_a_dead_server_has_left_another_goes_on_with(client, file, tmp_path):
    output, whole = tmp_path / "labels.nii", tmp_path / "whole.nii"
    unet3d.segment(file, whole, model=client(""), options=options(probabilities=None))
    with pytest.raises(unet3d.WorkError, match="does not answer") as caught:
        unet3d.segment(file, output, model=client("die-after=3", patience=0.3), options=options(probabilities=None))
    assert "--resume" in caught.value.__notes__[0]
    assert not output.exists()
    plans, again = [], client("")
    unet3d.segment(file, output, model=again, options=options(probabilities=None, resume=True), on_plan=plans.append)
    assert 0 < plans[0].done < 1
    assert again.traffic.requests <= len(plans[0].plan.tiles) - 1 + 2
    assert output.read_bytes() == whole.read_bytes()


def test_what_a_server_cannot_do_is_refused_before_any_tile_is_sent(client, ports, image):
    asked = client("")
    with pytest.raises(unet3d.InputError, match="precision of its model"):
        unet3d.segment(image, model=asked, options=options(precision="bfloat16"))
    with pytest.raises(unet3d.InputError, match="one served model"):
        unet3d.segment(image, model=[asked, asked])
    with pytest.raises(unet3d.InputError, match="trained without mirrored tiles"):
        unet3d.segment(image, model=asked, options=options(mirrored=True))
    assert asked.traffic.requests == 2


def test_a_plan_says_how_long_it_takes(client, image):
    planned = unet3d.plan_segmentation(image, model=client("slow=0.4"), options=options())
    assert planned.seconds > 0.4 * len(planned.plan.tiles)


WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "jax", "torch"):
    sys.modules[name] = None  # whoever imports it fails
from unet3d_cli import main
main(sys.argv[1:])
"""


def test_the_command_needs_no_tensorflow(ports, file, tmp_path):
    local = unet3d.segment(file, model=str(ports.models["spaced"]), options=options())
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, "segment", str(file), "labels.nii", "--model-name", "spaced"]
    command += ["--server", ports[""], "--json", "--probabilities", "p.nii", "--report", "report.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["models"] == [f"spaced/1 on {ports['']}"]
    assert Path(tmp_path / "report.html").stat().st_size > 1000
    served = unet3d.read_labels(tmp_path / "labels.nii")
    assert (served.voxels != local.labels.voxels).mean() < 1e-3
    np.testing.assert_allclose(unet3d.read_image(tmp_path / "p.nii").voxels, local.probabilities.voxels, atol=1e-5)


def test_servers_compute_blocks(client, ports, noise, tmp_path):
    """Two parts, each with a client of its own, one of two servers; workers have networks of their own."""
    pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
    shape, output = (30, 44, 200), tmp_path / "labels.ome.zarr"
    unet3d.write_image(tmp_path / "image.ome.zarr", unet3d.Volume(noise(*shape), unet3d.Grid(shape)))
    asked = unet3d.SegmentOptions(precision="float32")
    local = unet3d.segment(tmp_path / "image.ome.zarr", model=str(ports.models["moving"]), options=asked)

    def part(number, served):
        return unet3d.segment_in_blocks(
            tmp_path / "image.ome.zarr", output, model=served, executor=unet3d.Part(number, 2), options=asked
        )

    with pytest.raises(unet3d.InputError, match=r"tiles of x=80 y=\d+ z=\d+ at least; this model was exported for"):
        part(1, client(""))
    for number, servers in ((1, ("",)), (2, ("", "content"))):
        served = client(*servers)
        served.__dict__["description"] = served.description.model_copy(update={"tile": None})  # as if exported for more
        done = part(number, served)
        assert done.blocks > 1
        assert (done.missing > 0) == (number == 1)
    np.testing.assert_array_equal(unet3d.read_labels(output).voxels, local.labels.voxels)
