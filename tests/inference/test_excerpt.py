"""A region that is segmented alone is that part of the whole: for padded and unpadded networks, at every border."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference.delivery import Delivery
from keras_unet3d.inference.excerpt import Excerpt, with_surroundings
from keras_unet3d.inference.job import Member, SegmentationJob
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.postprocessing import PostProcessing
from keras_unet3d.network.sizes import AxisGeometry, Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.volume import Grid, Volume

pytestmark = pytest.mark.usefixtures("compiled_once")

SCHEME = LabelScheme((0, 5, 7), ("background", "a", "b"))
SHAPE = (13, 71, 38)
"""Odd sizes, and one axis that is shorter than what surrounds a voxel."""


class Recorded:
    """An image that notes which boxes are read."""

    def __init__(self, voxels):
        self.voxels, self.shape, self.dtype, self.ndim = voxels, voxels.shape, voxels.dtype, voxels.ndim
        self.boxes = []

    def __getitem__(self, part):
        self.boxes.append(Box.of(part, self.shape))
        return self.voxels[part]


@pytest.fixture(scope="module")
def member(random_network):
    """Make a network of a geometry, once."""
    made = {}

    def make(geometry, normalization="batch"):
        if (geometry, normalization) not in made:
            network = random_network(
                1,
                filters=2,
                depth=geometry.depth,
                padding=geometry.padding,
                unpooled=geometry.unpooled,
                dimensions=geometry.dimensions,
                normalization=normalization,
            )
            made[geometry, normalization] = Member("m", network, NetworkSize(geometry, 2, 1, 3), False, ())
        return made[geometry, normalization]

    return make


@pytest.fixture(scope="module")
def image():
    """Brighter on one side: what is measured in a part is not what is measured in the whole."""
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 4, SHAPE[1])[None, :, None, None]
    return Volume((rng.normal(0, 1, (*SHAPE, 1)) + ramp).astype(np.float32), Grid(SHAPE, (2.0, 1.0, 1.0), unit="mm"))


OPTIONS = SegmentOptions(memory=10**10, precision="float32", probabilities=True)


def segmented(member, image, box=None, options=OPTIONS):
    """Labels and probabilities, of all of it or of a box."""
    if box is None:
        job = SegmentationJob(image, [member], options, SCHEME)
    else:
        excerpt = Excerpt.of(image, image, box, member.size.geometry)
        job = SegmentationJob(excerpt.volume, [member], options, SCHEME, Delivery(grid=excerpt.grid, excerpt=excerpt))
    done = job.run()
    return done.labels[:, :, :], done.probabilities[:, :, :]


def ranges(length):
    """First voxel and the one behind the last; often at an end."""
    ends = st.tuples(st.integers(0, length - 1), st.integers(1, length))
    return ends.map(lambda both: (both[0], max(both[1], both[0] + 1)))


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry("valid", 1),
        Geometry("same", 1),
        Geometry("valid", 2, (1, 0, 0)),
        Geometry("same", 2),
        Geometry("same", 1, dimensions=2),
    ],
    ids=str,
)
def test_a_region_is_that_part_of_the_whole(geometry, member, image):
    network = member(geometry)
    labels, probabilities = segmented(network, image)

    @settings(max_examples=6)
    @given(*map(ranges, SHAPE))
    @example((0, 13), (0, 1), (0, 1))
    @example((12, 13), (70, 71), (37, 38))
    @example((3, 4), (70, 71), (36, 37))
    @example((0, 13), (64, 71), (33, 38))
    def check(z, y, x):
        box = Box((z[0], y[0], x[0]), (z[1], y[1], x[1]))
        part, chances = segmented(network, image, box)
        np.testing.assert_allclose(chances, probabilities[box.slices], atol=1e-5)
        best = np.sort(chances, axis=-1)
        sure = best[..., -1] - best[..., -2] > 1e-5
        np.testing.assert_array_equal(part[sure], labels[box.slices][sure])

    check()


def test_the_paper_s_network_reads_44_voxels_around_at_least(member):
    """Depth 3: origins are multiples of 8 in the whole."""
    assert with_surroundings(103, 110, 1000, AxisGeometry()) == (96 - 48, 112 + 48)
    assert with_surroundings(103, 110, 1000, AxisGeometry("same")) == (96 - 48, 112 + 48)
    assert with_surroundings(8, 16, 1000, AxisGeometry()) == (0, 64)
    assert with_surroundings(990, 1000, 1000, AxisGeometry("same")) == (936, 1000)
    geometry, shape = Geometry(), (1, 121, 3)
    image = Volume(np.random.default_rng(0).normal(size=(*shape, 1)).astype(np.float32), Grid(shape))
    whole = segmented(member(geometry), image)[1]
    for box in (Box((0, 61, 0), (1, 69, 1)), Box((0, 120, 2), (1, 121, 3))):
        found = segmented(member(geometry), image, box)[1]
        np.testing.assert_allclose(found, whole[box.slices], atol=1e-5)


@given(st.sampled_from(["valid", "same"]), st.integers(1, 4), st.integers(1, 700), st.data())
def test_what_is_read_begins_at_a_multiple_and_surrounds_the_region(padding, depth, length, data):
    axis = AxisGeometry(padding, depth)
    start, stop = data.draw(ranges(length))
    first, end = with_surroundings(start, stop, length, axis)
    assert 0 <= first <= start < stop <= end <= length
    assert first % axis.multiple == 0
    assert end % axis.multiple == 0 or end == length
    assert first == 0 or start - first >= axis.halo
    assert end == length or end - stop >= axis.halo


def test_only_what_surrounds_a_region_goes_through_the_network(member, image):
    network = member(Geometry("valid", 1))
    recorded = replace(image, voxels=Recorded(image.voxels))
    excerpt = Excerpt.of(recorded, recorded, Box((0, 40, 20), (13, 44, 24)), network.size.geometry)
    assert excerpt.read == Box((0, 32, 12), (13, 52, 32))  # 8 around, from and to multiples of 2
    job = SegmentationJob(excerpt.volume, [network], OPTIONS, SCHEME, Delivery(grid=excerpt.grid, excerpt=excerpt))
    job.run()
    tiles = [box for box in recorded.voxels.boxes if box.clipped(excerpt.read.stop) == box and box.start[1] >= 32]
    others = [box for box in recorded.voxels.boxes if box not in tiles]
    assert sum(box.voxels for box in others) == np.prod(SHAPE) + 1  # is measured, from its first voxel
    assert sum(box.voxels for box in tiles) <= 2 * excerpt.read.voxels  # mirrored in at the ends of z


def test_components_of_a_region_are_refused(member, image):
    network = member(Geometry("same", 1))
    options = SegmentOptions(post_processing=PostProcessing(largest_component=True))
    with pytest.raises(InputError, match=r"--largest-component, --min-size and --fill-holes, or --region"):
        segmented(network, image, Box((0, 0, 0), (4, 4, 4)), options)
