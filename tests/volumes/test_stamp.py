import os

from keras_unet3d.volumes.stamp import stamp


def test_a_file_is_told_by_size_and_date_and_zarr_by_its_files(tmp_path):
    file = tmp_path / "a.nii"
    file.write_bytes(b"abc")
    assert stamp(file) == [3, file.stat().st_mtime_ns]
    assert stamp(tmp_path / "none.nii") == []
    chunk = tmp_path / "a.ome.zarr" / "0" / "c" / "1"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"abc")
    before = stamp(tmp_path / "a.ome.zarr")
    assert before == [1, chunk.stat().st_mtime_ns]
    os.utime(chunk, ns=(1, before[1] + 1))
    changed = stamp(tmp_path / "a.ome.zarr")
    assert changed != before
    labels = tmp_path / "a.ome.zarr" / "labels" / "cells" / "0"
    labels.mkdir(parents=True)
    (labels / "1").write_bytes(b"a")
    assert stamp(tmp_path / "a.ome.zarr") == changed  # labels within are not the image
    assert stamp(tmp_path / "a.ome.zarr" / "labels" / "cells")[0] == 1
