"""A region of a volume that is segmented alone, and comes out as it would in the whole.

What a network says of a voxel depends on what lies around it, on the intensities of the whole volume, and on where its
pooling grid begins. So a larger box is segmented, which begins at a multiple of the geometry's (8) in the whole.
"""

from dataclasses import dataclass
from functools import partial

from keras_unet3d.inference.axis import shortest_of_many
from keras_unet3d.inference.results import Outcome, Results
from keras_unet3d.network.sizes import AxisGeometry, Geometry
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.part import PartVoxels, PlacedVoxels, part_of
from keras_unet3d.volumes.resampling import axis_steps
from keras_unet3d.volumes.volume import Grid, Volume


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A region, and what is read for it.

    Attributes:
        image: whole, as it is.
        working: whole, on the grid that networks see: `image` itself where nothing is resampled.
        box: of `image`: the region.
        read: of `working`: what is segmented.
    """

    image: Volume
    working: Volume
    box: Box
    read: Box

    @classmethod
    def of(cls, image: Volume, working: Volume, box: Box, geometry: Geometry) -> "Excerpt":
        """Find out what must be read.

        Args:
            image: whole.
            working: whole, on the grid that networks see, which shares its first corner.
            box: of `image`.
            geometry: of the networks.
        """
        ends = list(zip(box.start, box.stop, strict=True))
        if working.grid != image.grid:  # each voxel of the region is made of several
            steps = axis_steps(working.grid, image.grid)
            ends = [axis.needed(*along) for axis, along in zip(steps, ends, strict=True)]
        (z, z_stop), (y, y_stop), (x, x_stop) = (
            with_surroundings(*along, length, axis)
            for along, length, axis in zip(ends, working.grid.shape, geometry.axes, strict=True)
        )
        return cls(image, working, box, Box((z, y, x), (z_stop, y_stop, x_stop)))

    @property
    def sentence(self) -> str:
        """What is segmented, for people."""
        return (
            f"{self.box} of {named(self.image.grid.shape)}, for which {self.read} of "
            f"{named(self.working.grid.shape)} goes through the network."
        )

    @property
    def volume(self) -> Volume:
        """What is segmented."""
        return part_of(self.working, self.read)

    @property
    def grid(self) -> Grid:
        """Of the region."""
        return self.image.grid.part(self.box.start, self.box.shape)

    def outcome(self, results: Results) -> Outcome:
        """The region, of what became of `volume`."""
        placed = partial(PlacedVoxels, start=self.read.start, shape=self.working.grid.shape)
        whole = Outcome.of(_each(results, placed), self.working.grid, self.image.grid)
        return _each(whole, partial(PartVoxels, box=self.box))


def with_surroundings(start: int, stop: int, length: int, geometry: AxisGeometry) -> tuple[int, int]:
    """The voxels along an axis to segment, so that those from `start` up to `stop` come out as in the whole.

    Tiles that move on by a multiple read as much more than it as their shortest, on the left the halo, on the right
    the rest (44 and 48 unpadded, 48 and 48 zero-padded). The end of the whole stays an end, with all that is mirrored
    in there.

    Args:
        start: first voxel that is wanted.
        stop: the one behind the last.
        length: of the whole.
        geometry: of the network along this axis.
    """
    multiple = geometry.multiple
    around = max(geometry.halo, shortest_of_many(geometry) - multiple - geometry.halo)
    margin = -(-around // multiple) * multiple
    end = -(-stop // multiple) * multiple + margin
    mirrored = 2 * length - 1 - end  # what is farthest from the whole's end, of what is mirrored in there
    first = min(start // multiple * multiple - margin, mirrored // multiple * multiple)
    return max(first, 0), min(end, length)


def _each(results: Results | Outcome, view: "partial[PlacedVoxels] | partial[PartVoxels]") -> Outcome:
    return Outcome(
        view(results.classes),
        view(results.probabilities) if results.probabilities is not None else None,
        view(results.uncertainty) if results.uncertainty is not None else None,
    )
