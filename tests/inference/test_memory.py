"""How large a tile may be."""

from types import SimpleNamespace

import psutil
import pytest

from keras_unet3d.inference.memory import max_tile_voxels


def test_half_of_the_free_memory_at_20_bytes_a_voxel_and_filter(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64_000_000_000))
    assert max_tile_voxels(32) == 50_000_000
    assert max_tile_voxels(8) == pytest.approx(4 * max_tile_voxels(32))
    assert max_tile_voxels(32, share=0.25) == 25_000_000
