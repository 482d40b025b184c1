import gzip
import io
import zlib

import numpy as np
import pytest

from keras_unet3d.volumes import deflate

ALONE = {"gzip": gzip.decompress, "zlib": zlib.decompress}


@pytest.mark.parametrize("container", ["gzip", "zlib"])
@pytest.mark.parametrize("lengths", [[], [1], [1000], [1, 0, 4096, 4097, 3], [100_000]])
def test_the_blocks_are_one_stream_that_others_unpack(monkeypatch, container, lengths):
    monkeypatch.setattr(deflate, "_BLOCK_BYTES", 1000)
    parts = [np.random.default_rng(size).integers(0, 4, size).astype(np.uint8).tobytes() for size in lengths]
    file = io.BytesIO(b"head")
    file.seek(4)
    deflate.write_deflated(file, map(memoryview, parts), container=container, level=1)
    assert file.getvalue()[:4] == b"head"
    # Each checks the checksum and, for gzip, the length.
    assert ALONE[container](file.getvalue()[4:]) == b"".join(parts)


def test_blocks_on_their_own_are_hardly_longer_than_one_stream():
    labels = np.repeat(np.random.default_rng(0).integers(0, 4, 1 << 18), 20).astype(np.uint8).tobytes()
    file = io.BytesIO()
    deflate.write_deflated(file, [memoryview(labels)], container="zlib", level=1)
    assert len(file.getvalue()) < 1.01 * len(zlib.compress(labels, 1))
