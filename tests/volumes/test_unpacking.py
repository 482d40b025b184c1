import gzip
import zlib
from contextlib import ExitStack

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import unpacking
from keras_unet3d.volumes.unpacking import Opening

VOXELS = np.random.default_rng(0).integers(0, 9, 3 * unpacking._BLOCK, np.uint8).tobytes()


def packed(data):
    return gzip.compress(data, 1)


@pytest.fixture(params=["in memory", "whole", "to disk"])
def unpack(request, tmp_path, monkeypatch):
    """Unpack the stream that a file has from its first byte on."""
    monkeypatch.setattr(unpacking, "MOST_IN_MEMORY", 0 if request.param == "to disk" else 1 << 30)

    def run(content, size, **places):
        (tmp_path / "file").write_bytes(content)
        with ExitStack() as closing:
            opening = Opening(closing, whole=request.param == "whole", scratch=tmp_path)
            source = opening.inflated(tmp_path / "a.nrrd", tmp_path / "file", size, **places)
            assert source.held_bytes == (0 if request.param == "to disk" else size)
            assert [path.name for path in tmp_path.iterdir()] == ["file"]
            found = bytearray(size)
            source.read_into(0, memoryview(found))
            return bytes(found)

    return run


def test_gzip_and_zlib_streams(unpack):
    assert unpack(packed(VOXELS), len(VOXELS)) == VOXELS
    assert unpack(zlib.compress(VOXELS, 1), len(VOXELS)) == VOXELS


def test_several_streams_in_a_row_are_one(unpack):
    parts = [VOXELS[:10], VOXELS[10:2_000_000], VOXELS[2_000_000:]]
    assert unpack(b"".join(map(packed, parts)), len(VOXELS)) == VOXELS


def test_the_stream_may_begin_later_and_the_voxels_too(unpack):
    assert unpack(b"header" + packed(VOXELS), 1000, start=6, skip=2_000_001) == VOXELS[2_000_001:2_001_001]


def test_what_follows_the_stream_is_passed_over(unpack):
    for after in (bytes(1000), b"PADDING", b"\x1f"):
        assert unpack(packed(VOXELS) + after, len(VOXELS)) == VOXELS


def test_fewer_bytes_than_declared_are_said(unpack):
    with pytest.raises(InputError, match=r"a\.nrrd: is cut off or damaged: .*1001 bytes of voxels, and 1000 can be"):
        unpack(packed(bytes(1000)), 1001)


def test_a_wrong_checksum_is_found(unpack):
    content = bytearray(packed(VOXELS))
    content[-6] ^= 1
    with pytest.raises(zlib.error, match="incorrect data check"):
        unpack(bytes(content), len(VOXELS))


def test_a_bomb_is_unpacked_no_further_than_declared(unpack, monkeypatch):
    unpacked = []

    def counted(file):
        for part in unpacking_inflated(file):
            unpacked.append(len(part))
            yield part

    unpacking_inflated = unpacking._inflated
    monkeypatch.setattr(unpacking, "_inflated", counted)
    assert unpack(packed(bytes(1 << 27)), 100) == bytes(100)
    assert sum(unpacked) <= 2 * unpacking._BLOCK
