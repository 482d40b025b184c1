"""A model with a working spacing: images of another are resampled to it, and the labels back, exactly on their grid."""

import re
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

import keras_unet3d as unet3d
from keras_unet3d.inference import job
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.saved_model import LoadedModel

SHAPE = (16, 60, 70)
SPACING = (3.0, 1.0, 0.8)
TURNED = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def bright():
    """Make a model that takes what is brighter than the mean for class 1; `spacing` is what it expects, in mm."""
    from keras_unet3d.network.unet import build_unet3d

    def make(spacing=(1.5, 1.5, 1.5), name="bright", **changes):
        network = build_unet3d((None, None, None, 1), 2, filters=1, depth=1, padding="same", normalization=None)
        for variable in network.variables:
            variable.assign(np.zeros(variable.shape))
        for layer in ("down0a_conv", "down0b_conv", "up0a_conv", "up0b_conv"):  # the skip's first channel goes through
            kernel, bias = network.get_layer(layer).weights
            centre = np.zeros(kernel.shape)
            centre[1, 1, 1, 0, 0] = 1
            kernel.assign(centre)
            if layer == "down0a_conv":
                bias.assign([10] + [0] * (bias.shape[0] - 1))  # above what a ReLU cuts off
        kernel, bias = network.get_layer("logits").weights
        weights = np.zeros(kernel.shape)
        weights[..., 0, 1] = 1
        kernel.assign(weights)
        bias.assign([0, -10])
        description = ModelDescription.model_validate(
            {
                "classes": [{"value": 0, "name": "background"}, {"value": 4, "name": "bright"}],
                "channels": ["grey"],
                "normalization": None,
                "filters": 1,
                "geometry": {"padding": "same", "depth": 1},
                "spacing": spacing,
                "unit": "mm",
                "resampled": True,
            }
            | changes
        )
        return LoadedModel(Path(name), description, network)

    return make


@pytest.fixture(scope="module")
def one(bright):
    return bright()


def smooth(shape=SHAPE, spacing=SPACING):
    """A field in space whose waves are about 40 mm long."""
    z, y, x = (
        ((np.arange(n) + 0.5) * edge).reshape([-1 if a == b else 1 for b in range(3)])
        for a, (n, edge) in enumerate(zip(shape, spacing, strict=True))
    )
    return (np.sin(z / 6) + np.sin(y / 7 + 1) * np.cos(x / 6)).astype(np.float32)


@pytest.fixture
def image():
    grid = unet3d.Grid(SHAPE, SPACING, (30.0, -20.0, 10.0), TURNED, "mm")
    return unet3d.Volume(smooth()[..., None], grid)


@pytest.fixture
def file(tmp_path, image):
    unet3d.write_image(tmp_path / "image.nii.gz", image)
    return tmp_path / "image.nii.gz"


def options(**asked):
    return unet3d.SegmentOptions(precision="float32", **asked)


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (3.0, 2.5, 2.5), (1.0, 1.0, 0.8)])
def test_labels_lie_on_the_images_own_grid_where_its_structures_are(tmp_path, image, file, bright, spacing):
    wanted = options(probabilities=tmp_path / "p.nii.gz", uncertainty=tmp_path / "u.nii.gz")
    plans = []
    done = unet3d.segment(file, tmp_path / "out.nii.gz", model=bright(spacing), options=wanted, on_plan=plans.append)
    read = [nibabel.load(tmp_path / name) for name in ("image.nii.gz", "out.nii.gz", "p.nii.gz", "u.nii.gz")]
    for other in read[1:]:
        assert other.shape[:3] == read[0].shape[:3]
        np.testing.assert_array_equal(other.affine, read[0].affine)
        assert other.header.get_xyzt_units() == read[0].header.get_xyzt_units()
    values, truth = image.voxels[..., 0], image.voxels[..., 0] > image.voxels.mean()
    labels = done.labels.voxels
    assert dice(labels == 4, truth) > 0.97
    assert done.shape == SHAPE
    assert sum(done.shares.values()) == pytest.approx(1)
    assert done.shares["bright"] == pytest.approx((labels == 4).mean())
    chances = unet3d.read_image(tmp_path / "p.nii.gz").voxels
    np.testing.assert_allclose(chances.sum(axis=-1), 1, atol=1e-5)
    assert dice(chances[..., 1] > 0.5, truth) > 0.97
    unsure = unet3d.read_image(tmp_path / "u.nii.gz").voxels[..., 0]
    near = np.abs(values - values.mean()) < 0.1
    assert unsure[near].mean() > unsure[~near].mean() + 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.nii.gz", "out.nii.gz", "p.nii.gz", "u.nii.gz"]
    assert not done.warnings
    assert plans[0].plan.tiles.volume == tuple(
        round(n * a / b) for n, a, b in zip(SHAPE, SPACING, spacing, strict=True)
    )


@pytest.mark.parametrize("region", [unet3d.Region(z=(3, 9), x=(40, 61)), unet3d.Region((15, 16), (0, 1), (69, 70))])
def test_a_region_is_resampled_as_in_the_whole(file, one, region):
    whole, part = (
        unet3d.segment(file, model=one, options=options(probabilities=True, region=each)) for each in (None, region)
    )
    place = region.box(SHAPE).slices
    np.testing.assert_allclose(part.probabilities.voxels, whole.probabilities.voxels[place], atol=1e-4)
    undecided = np.abs(part.probabilities.voxels[..., 0] - 0.5) < 0.05
    assert ((part.labels.voxels == whole.labels.voxels[place]) | undecided).all()


def test_it_is_said_before_the_work_and_planned_without_it(file, one, monkeypatch):
    from keras_unet3d.volumes.resampling import ResampledVoxels

    monkeypatch.setattr(ResampledVoxels, "__getitem__", lambda *_: pytest.fail("voxels were read"))
    planned = unet3d.plan_segmentation(file, model=one, options=options())
    assert planned.resampled == (
        f"{file}: resampled from voxels of x=0.8 y=1 z=3 mm to the model's x=1.5 y=1.5 z=1.5 mm, which makes x=37 y=40 "
        "z=32 of x=70 y=60 z=16, and labels back."
    )
    assert planned.plan.tiles.volume == (32, 40, 37)
    assert planned.warnings == ()


def test_in_memory_it_is_the_same(file, one, tmp_path):
    image = unet3d.read_image(file)
    written = unet3d.segment(file, tmp_path / "out.nii.gz", model=one, options=options()).labels.voxels
    held = unet3d.segment(image, model=one, options=options(probabilities=True))
    np.testing.assert_array_equal(held.labels.voxels, written)
    assert held.labels.grid == image.grid
    assert held.probabilities.voxels.shape == (*SHAPE, 2)


@pytest.mark.parametrize(
    ("spacing", "unit"), [((3.0, 1.0, 0.8), "mm"), ((3010, 1000, 799), "µm"), ((3.0, 1.0, 0.8), "")]
)
def test_an_image_of_the_models_own_spacing_is_taken_as_it_is(image, bright, spacing, unit):
    model = bright(spacing, unit=unit)
    planned = unet3d.plan_segmentation(image, model=model, options=options())
    assert (planned.resampled, planned.warnings) == ("", ())
    assert planned.plan.tiles.volume == SHAPE


def test_units_are_converted_and_an_unknown_one_is_that_of_the_other_which_is_said(image, one):
    in_microns = replace(image, grid=image.grid.in_unit("µm"))
    found, expected = (unet3d.segment(each, model=one, options=options()) for each in (in_microns, image))
    np.testing.assert_array_equal(found.labels.voxels, expected.labels.voxels)
    assert found.labels.grid == in_microns.grid
    silent = replace(image, grid=replace(image.grid, unit=""))
    planned = unet3d.plan_segmentation(silent, model=one, options=options())
    assert planned.plan.tiles.volume == (32, 40, 37)
    assert planned.warnings == ("The spacing of the image has no unit; it is taken to be in mm.",)


def test_what_says_nothing_of_its_voxels_is_taken_as_it_is_which_is_said(tmp_path, image, one):
    import tifffile

    tifffile.imwrite(tmp_path / "plain.tif", image.voxels[..., 0])
    planned = unet3d.plan_segmentation(tmp_path / "plain.tif", model=one, options=options())
    assert planned.plan.tiles.volume == SHAPE
    assert planned.resampled == ""
    (warning,) = planned.warnings
    assert "says nothing of its voxels, so it is not resampled; the model expects x=1.5 y=1.5 z=1.5 mm" in warning


def test_what_is_kept_is_kept_voxel_by_voxel(tmp_path, image, file, one):
    """Scattered points, which no interpolation would leave."""
    kept = np.where(np.random.default_rng(0).random(SHAPE) < 0.1, 4, 9).astype(np.uint8)
    kept[::2][kept[::2] == 4] = 0
    unet3d.write_labels(tmp_path / "kept.nii.gz", image.with_voxels(kept))
    found = unet3d.segment(
        file, model=one, keep=tmp_path / "kept.nii.gz", meaning=unet3d.Meaning(unlabeled=9), options=options()
    ).labels.voxels
    np.testing.assert_array_equal(found[kept != 9], kept[kept != 9])
    plain = unet3d.segment(file, model=one, options=options()).labels.voxels
    np.testing.assert_array_equal(found[kept == 9], plain[kept == 9])


def test_the_largest_component_is_one_on_the_images_grid(image, one):
    wanted = options(post_processing=unet3d.PostProcessing(largest_component=True))
    found = unet3d.segment(image, model=one, options=wanted)
    plain = unet3d.segment(image, model=one, options=options()).labels.voxels
    everywhere = np.ones((3, 3, 3))
    assert ndimage.label(plain, everywhere)[1] > 1
    assert ndimage.label(found.labels.voxels, everywhere)[1] == 1
    assert found.changes["bright"].removed_voxels == (plain != found.labels.voxels).sum()


def test_a_smallest_component_is_measured_in_voxels_of_the_image(image, one):
    wanted = options(post_processing=unet3d.PostProcessing(min_size_mm3=3000))
    found = unet3d.segment(image, model=one, options=wanted).labels.voxels
    components, count = ndimage.label(found, np.ones((3, 3, 3)))
    assert count
    assert min(np.bincount(components.ravel())[1:]) * np.prod(SPACING) >= 3000


def test_what_was_interrupted_is_resumed_to_the_same(tmp_path, file, one):
    unet3d.segment(file, tmp_path / "whole.nii.gz", model=one, options=options())

    def stop(share):
        if share > 0.4:
            raise KeyboardInterrupt

    output = tmp_path / "out.nii.gz"
    with pytest.raises(KeyboardInterrupt):
        unet3d.segment(file, output, model=one, options=options(), progress=stop)
    assert not list(tmp_path.glob("*/resampled.raw"))
    plans = []
    unet3d.segment(file, output, model=one, options=options(resume=True), on_plan=plans.append)
    assert plans[0].done > 0
    assert output.read_bytes() == (tmp_path / "whole.nii.gz").read_bytes()


def test_models_of_several_spacings_are_not_averaged(image, one, bright):
    wrong = [(bright((2, 2, 2), "two"), "x=2 y=2 z=2 mm"), (bright(name="any", resampled=False), "voxels as they are")]
    for other, expects in wrong:
        with pytest.raises(unet3d.InputError, match=f"expects .*{re.escape(expects)}, and bright voxels of x=1.5"):
            unet3d.segment(image, model=[one, other])
    same = bright((1500, 1500, 1500), "same", unit="µm")
    both = unet3d.segment(image, model=[one, same], options=options()).labels.voxels
    np.testing.assert_array_equal(both, unet3d.segment(image, model=one, options=options()).labels.voxels)


def test_a_model_without_a_working_spacing_only_warns(image, bright):
    planned = unet3d.plan_segmentation(image, model=bright(resampled=False), options=options())
    assert planned.resampled == ""
    assert "differ from those trained on" in planned.warnings[0]


def test_results_in_memory_are_counted_on_both_grids(image, bright, monkeypatch):
    """A byte, and two probabilities in 4 bytes each, for 67,200 voxels of the image and 2,016,000 of the model's."""
    monkeypatch.setattr(job, "held_memory", lambda: 10**8)
    fine, wanted = bright((0.5, 0.4, 0.4)), options(memory=10**10)
    held, written = (
        unet3d.plan_segmentation(
            image, model=fine, options=replace(wanted, probabilities=True), in_memory=in_memory
        ).plan.memory
        for in_memory in (True, False)
    )
    assert held - written == 9 * (67_200 + 2_016_000)
