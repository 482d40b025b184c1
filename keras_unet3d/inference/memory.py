"""How large a tile the memory of this machine allows."""

BYTES_PER_VOXEL_AND_FILTER = 20
"""What a forward pass in float32 holds at its peak, per input voxel and base filter.

Measured: 10.2 GB for a tile of x=340 y=332 z=156 through the unpadded network with 32 base filters, 18.1 bytes.
"""


def max_tile_voxels(filters: int, share: float = 0.5) -> int:
    """Input voxels that a tile may have so that its forward pass fits into free memory.

    Args:
        filters: base filters of the network.
        share: of the memory that is free now; the rest is for the volume, its labels, and everyone else.
    """
    import psutil

    return int(share * psutil.virtual_memory().available / (BYTES_PER_VOXEL_AND_FILTER * filters))
