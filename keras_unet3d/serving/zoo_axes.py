"""How the tools of the BioImage Model Zoo lay tiles along an axis."""

from dataclasses import dataclass

from keras_unet3d.network.sizes import AxisGeometry
from keras_unet3d.serving.description import ModelDescription


@dataclass(frozen=True)
class ZooAxis:
    """What a package says of an axis, so that tiles of any tool line up as ours do.

    These tools know tiles that come out as long as they went in, from which as many voxels are cropped on each side:
    the next tile begins where the last one was cropped. With a crop and a length in multiples of `multiple` it begins
    at a multiple, too, as pooling grids demand (48, and 104, 112, …, of the paper's network, or one as deep that is
    zero-padded).

    Attributes:
        geometry: of the network.
        halo: voxels to add on each side of what is wanted, mirrored where there is nothing, and to crop afterwards.
        step: by which the lengths of tiles may differ.
    """

    geometry: AxisGeometry
    halo: int
    step: int

    @property
    def minimum(self) -> int:
        """The shortest tile (104)."""
        return 2 * self.halo + self.geometry.multiple

    @property
    def lead(self) -> int:
        """Voxels at the start of a tile that an unpadded network is not given (4).

        Its grid begins 44 voxels before what is wanted, and a halo in multiples of 8 at 48.
        """
        return self.halo - self.margin if self.geometry.padding == "valid" else 0

    @property
    def margin(self) -> int:
        """Voxels that the network loses on each side (44 unpadded, 0 padded)."""
        return self.geometry.margin // 2


def zoo_axes(description: ModelDescription) -> list[ZooAxis]:
    """Along z, y and x.

    A network that normalises by the statistics of its tile needs the volume in one piece, and not more of it: it may
    have any length, and no halo but what the network loses.
    """
    axes = description.geometry.geometry.axes
    if description.tile_dependent:
        return [ZooAxis(axis, axis.margin // 2, 1) for axis in axes]
    return [ZooAxis(axis, -(-axis.halo // axis.multiple) * axis.multiple, axis.multiple) for axis in axes]
