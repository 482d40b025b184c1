"""A tile of a part of a large image is made of what that of the whole image is made of."""

import numpy as np
import pytest

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.neighbourhoods import Neighbourhood, WholeImage
from keras_unet3d.training.held_out import Preparation, part
from keras_unet3d.training.pipeline import _Draw
from keras_unet3d.training.sampling import Sampler, TrainingVolume
from keras_unet3d.training.surroundings import surroundings
from keras_unet3d.volumes.box import Box, read_mirrored
from keras_unet3d.volumes.part import PlacedVoxels, part_of
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.volume import Grid, Volume

SHAPE = (40, 90, 100)
GRID = Grid(SHAPE, (2.0, 1.0, 1.0), unit="µm")
LABELS = [Box((20, 40, 50), (21, 48, 60)), Box((2, 80, 0), (6, 90, 4))]
"""In the middle, and in a corner."""


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return Volume((rng.normal(50, 9, (*SHAPE, 2)) + np.arange(100)[:, None]).astype(np.float32), GRID)


class InFile(PlacedVoxels):
    """What is read is not what is stored."""

    def __getitem__(self, part):
        return super().__getitem__(part).copy()


def lazily(volume):
    """The image as it is in a file."""
    return Volume(InFile(volume.voxels, (0, 0, 0), SHAPE), volume.grid)


@pytest.fixture
def cases(image):
    """Parts with nothing around their labels yet."""
    whole = WholeImage("brain", lazily(image))
    rng = np.random.default_rng(1)
    return [
        AnnotatedCase(
            f"brain {box}",
            part_of(whole.volume, box),
            rng.integers(0, 2, box.shape).astype(np.int16),
            Neighbourhood(whole, box, box),
        )
        for box in LABELS
    ]


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_tiles_of_a_part_are_made_of_what_those_of_the_whole_are(image, cases, resolved, padding):
    tile = "x=20 y=20 z=20" if padding == "valid" else "x=12 y=12 z=8"
    settings = resolved(
        {
            "network.padding": padding,
            "tile": tile,
            "augmentation.displacement_sigma": 1.0,
            "augmentation.displacement_spacing": 8,
        }
    )
    margins = surroundings(settings, cases)
    preparation = Preparation(margins=margins)
    volumes = part(cases, "nothing", preparation).training
    raw = image.voxels.copy()
    preparation.intensities.normalise(raw)
    places = [case.surrounded(margins).within.box for case in cases]
    assert any(place.shape != SHAPE for place in places)
    draw = _Draw(settings, volumes)
    for step in range(40):
        volume, place, coordinate_map, _ = draw.sample(step, 0, 0)
        number = place.volume
        for box in (coordinate_map.source_box, coordinate_map.tile):
            there = box.shifted(places[number].start)
            np.testing.assert_allclose(
                read_mirrored(volume.image, box), read_mirrored(raw, there), rtol=1e-5, atol=1e-5
            )


def test_places_of_a_part_are_those_of_the_whole(image, cases, resolved):
    """Drawn from the same numbers, a tile lies where it would lie in the whole image."""
    settings = resolved()
    margins = surroundings(settings, cases)
    for case in cases:
        grown = case.surrounded(margins)
        labels = np.full(SHAPE, UNLABELED, np.int16)
        labels[grown.within.box.slices] = grown.class_index
        in_whole, in_part = (
            Sampler([TrainingVolume("a", image.voxels, index, (1.0, 1.0, 1.0))], (8, 8, 8))
            for index in (labels, grown.class_index)
        )
        for seed in range(20):
            found = in_part.place(np.random.default_rng(seed)).labels.shifted(grown.within.box.start)
            assert found == in_whole.place(np.random.default_rng(seed)).labels


def test_whole_images_need_no_surroundings(resolved):
    case = AnnotatedCase(
        "a", Volume(np.zeros((4, 4, 4, 1), np.float32), Grid((4, 4, 4))), np.zeros((4, 4, 4), np.int16)
    )
    assert surroundings(resolved(), [case]) == (0, 0, 0)
    assert case.surrounded((9, 9, 9)) is case


def test_a_part_of_another_spacing_is_read_and_measured_as_the_resampled_whole(image, cases):
    """Voxels twice as long: margins count in them, and averages of voxels vary less than voxels do."""
    preparation = Preparation(spacing=Spacing((4.0, 2.0, 2.0), "µm"), margins=(2, 3, 4))
    grown = preparation.surrounded(cases[0])
    assert all(a >= 2 * b for a, b in zip(np.subtract(LABELS[0].start, grown.within.box.start), (2, 3, 4), strict=True))
    volume = preparation.volume(grown)
    assert volume.spacing == (4.0, 2.0, 2.0)
    plain, resampled = (cases[0].intensity(each) for each in (None, preparation.spacing))
    assert (resampled[:, 1] < plain[:, 1]).all()
    np.testing.assert_allclose(resampled[:, 0], plain[:, 0], rtol=0.01)


def test_parts_of_an_image_are_drawn_and_held_out_as_one(cases):
    others = [
        AnnotatedCase(
            name,
            Volume(np.ones((4, 4, 4, 2), np.float32), Grid((4, 4, 4), (2.0, 1.0, 1.0), unit="µm")),
            np.indices((4, 4, 4))[2].astype(np.int16) % 2,
        )
        for name in "abcd"
    ]
    parted = part([*cases, *others], "auto")
    assert parted.sentence == "Held out for validation: 1 of 5 cases (b)."
    assert [volume.whole for volume in parted.training] == ["brain", "brain", "", "", ""]
    sampler, rng = Sampler(parted.training, (2, 2, 2)), np.random.default_rng(0)
    drawn = np.bincount([sampler.voxel(rng)[0] for _ in range(2000)], minlength=5)
    labelled = [np.count_nonzero(volume.class_index != UNLABELED) for volume in parted.training[:2]]
    assert drawn[:2].sum() / 2000 == pytest.approx(1 / 4, abs=0.05)  # one of four images
    assert drawn[0] / drawn[:2].sum() == pytest.approx(labelled[0] / sum(labelled), abs=0.1)
