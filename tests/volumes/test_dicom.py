import numpy as np
import pytest
import SimpleITK

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import read_image, write_image

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
SERIES = "1.2.826.0.1.3680043.2.1125.{}"


def write_series(folder, *, number=1, description="T1 axial", leave_out=(), step=2.5, modality="MR"):
    folder.mkdir(exist_ok=True)
    for z, plane in enumerate(VOXELS):
        if z in leave_out:
            continue
        image = SimpleITK.GetImageFromArray(plane)
        image.SetSpacing((0.5, 0.75))
        tags = {
            "0008|0060": modality,
            "0008|103e": description,
            "0018|0050": str(step),
            "0020|000d": SERIES.format(1),
            "0020|000e": SERIES.format(f"1.{number}"),
            "0020|0032": f"10\\-20\\{30 + step * z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(z + 1),
            "0028|1052": "0",
            "0028|1053": "1",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        image.SetMetaData("0008|0018", SERIES.format(f"2.{number}.{z}"))
        # In no order of the slices.
        writer.SetFileName(str(folder / f"{(z * 3) % 5}_{number}.dcm"))
        writer.Execute(image)
    return folder


def test_a_folder_is_one_series_in_the_order_of_its_positions(tmp_path):
    image = read_image(write_series(tmp_path / "case"))
    np.testing.assert_array_equal(image.voxels[..., 0], VOXELS)
    assert image.grid.unit == "mm"
    assert image.grid.spacing == pytest.approx((2.5, 0.75, 0.5))
    assert image.grid.origin == pytest.approx((10, -20, 30))


@pytest.mark.parametrize(("modality", "name"), [("CT", "CT"), ("MR", "MRI"), ("PT", "PT")])
def test_a_channel_is_called_by_its_modality(tmp_path, modality, name):
    assert read_image(write_series(tmp_path / "case", modality=modality)).channels == (name,)


def test_a_folder_without_a_series_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no DICOM series"):
        read_image(tmp_path)


def test_several_series_are_named(tmp_path):
    write_series(tmp_path / "case", number=1, description="T1 axial")
    write_series(tmp_path / "case", number=2, description="T2")
    with pytest.raises(InputError, match=r"2 DICOM series: .*T1 axial \(5 files\)") as caught:
        read_image(tmp_path / "case")
    assert "T2 (5 files)" in str(caught.value)


def test_a_missing_slice_is_said(tmp_path):
    with pytest.raises(InputError, match=r"5 mm apart, slices usually 2\.5 mm"):
        read_image(write_series(tmp_path / "case", leave_out={2}))


def test_slices_at_one_place_are_said(tmp_path):
    with pytest.raises(InputError, match="missing or doubled"):
        read_image(write_series(tmp_path / "case", step=0.0))


def test_dicom_is_not_written(tmp_path):
    image = read_image(write_series(tmp_path / "case"))
    with pytest.raises(InputError, match=r"not written.*\.nii\.gz"):
        write_image(tmp_path / "out.dcm", image)
    write_image(tmp_path / "out.nii.gz", image)
    assert read_image(tmp_path / "out.nii.gz").grid.matches(image.grid)
