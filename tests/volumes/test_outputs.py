from pathlib import Path

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.outputs import check_output_folder, check_outputs, output_for


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (["in/a.nii.gz"], "a.nii.gz"),
        (["in/a.v2.tif"], "a.v2.tif"),
        (["a.mhd"], "a.nii.gz"),
        (["a.nhdr"], "a.nii.gz"),
        (["a.h5:raw/image"], "a.h5"),
        (["a_0000.nii", "a_0001.nii"], "a.nii"),
        (["a_c0.ome.tif", "a_c1.ome.tif"], "a.ome.tif"),
        (["a_0000.nii"], "a_0000.nii"),
    ],
)
def test_names_stay_and_formats_that_hold_labels_too(image, name):
    assert output_for([Path(file) for file in image], Path("out")) == Path("out") / name


def test_a_dicom_series_becomes_a_nifti_of_its_folder_s_name(tmp_path):
    (tmp_path / "series.1").mkdir()
    assert output_for([tmp_path / "series.1"], Path("out")) == Path("out/series.1.nii.gz")


def test_an_output_never_takes_the_place_of_an_input(tmp_path):
    a, b = tmp_path / "a.nii", tmp_path / "b.nii"
    for file in (a, b):
        file.touch()
    (tmp_path / "link.nii").symlink_to(a)
    check_outputs([([a], tmp_path / "out.nii")])
    for wrong in (b, tmp_path / "link.nii", tmp_path / "." / "a.nii"):
        with pytest.raises(InputError, match="never overwritten"):
            check_outputs([([a], wrong), ([b], tmp_path / "out.nii")])


def test_another_dataset_of_the_same_hdf5_file_is_another_place(tmp_path):
    (tmp_path / "a.h5").touch()
    image = Path(f"{tmp_path}/a.h5:image")
    check_outputs([([image], Path(f"{tmp_path}/a.h5:labels"))])
    with pytest.raises(InputError, match="never overwritten"):
        check_outputs([([image], image)])


def test_all_problems_come_in_one_go_and_nothing_is_made(tmp_path):
    pairs = [([tmp_path / "a.nii"], tmp_path / "no" / "out.nii"), ([tmp_path / "b.nii"], tmp_path / "out.png")]
    with pytest.raises(InputError) as error:
        check_outputs(pairs)
    assert len(str(error.value).splitlines()) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_folder_can_be_made_or_not(tmp_path):
    (tmp_path / "file").touch()
    check_output_folder(tmp_path / "a" / "b")
    check_output_folder(tmp_path)
    assert not (tmp_path / "a").exists()
    with pytest.raises(InputError, match="is a file"):
        check_output_folder(tmp_path / "file" / "b")


def test_labels_go_into_an_ome_zarr_image_and_in_no_place_that_is_taken(tmp_path):
    image = tmp_path / "a.ome.zarr"
    (image / "0").mkdir(parents=True)
    check_outputs([([image], image / "labels" / "cells")])
    assert not (image / "labels").exists()
    (image / "labels" / "cells").mkdir(parents=True)
    with pytest.raises(InputError, match="there already"):
        check_outputs([([image], image / "labels" / "cells")])
    with pytest.raises(InputError, match=r"missing\.ome\.zarr does not exist"):
        check_outputs([([image], tmp_path / "missing.ome.zarr" / "labels" / "cells")])
    assert output_for([image], tmp_path / "out") == tmp_path / "out" / "a.ome.zarr"
