import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.volumes import slabs
from keras_unet3d.volumes.slabs import Converted, bytes_of, in_slabs


@given(shape=st.tuples(*[st.integers(1, 7)] * 3), channels=st.sampled_from([(), (3,)]), limit=st.integers(1, 400))
def test_slabs_are_the_bytes_of_the_volume_in_their_order(shape, channels, limit):
    voxels = np.random.default_rng(0).integers(0, 9, (*shape, *channels)).astype(np.int16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "SLAB_BYTES", limit)
        parts = list(in_slabs(voxels))
    assert b"".join(map(bytes_of, parts)) == voxels.tobytes()
    assert max(part.nbytes for part in parts) <= max(limit, voxels[:1, :1, :1].nbytes)


def test_whole_planes_where_they_fit():
    voxels = np.zeros((10, 4, 5), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "SLAB_BYTES", 60)
        assert [part.shape for part in in_slabs(voxels)] == [(3, 4, 5)] * 3 + [(1, 4, 5)]


def test_voxels_are_converted_as_they_are_read():
    converted = Converted(np.arange(24, dtype=np.int64).reshape(2, 3, 4), "uint8")
    assert (converted.shape, converted.ndim, converted.dtype) == ((2, 3, 4), 3, np.uint8)
    assert converted[1:, :1, 2:].tolist() == [[[14, 15]]]
    assert converted[1:].dtype == np.uint8
