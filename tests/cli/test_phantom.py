from keras_unet3d.volumes import read_image, read_labels


def test_it_writes_a_dataset_and_says_what_is_next(unet3d, tmp_path):
    done = unet3d("phantom", "kidneys", "--size", "x=24 y=20 z=16", "--volumes", 1, "--seed", 3)
    assert done.exit_code == 0, done.stderr
    assert "unet3d fit kidneys" in done.stdout
    image = read_image(tmp_path / "kidneys" / "images" / "kidney_1.nii.gz")
    assert image.voxels.shape == (16, 20, 24, 3)
    sparse, truth = (
        read_labels(tmp_path / "kidneys" / part / "kidney_1.nii.gz").voxels for part in ("labels", "truth")
    )
    assert set(truth.ravel()) <= {0, 1, 2}
    assert (sparse[sparse != 3] == truth[sparse != 3]).all()


def test_it_takes_nothing_s_place(unet3d, tmp_path):
    (tmp_path / "kidneys").mkdir()
    (tmp_path / "kidneys" / "mine.txt").touch()
    done = unet3d("phantom", "kidneys", "--size", "x=24 y=20 z=16")
    assert done.exit_code == 2
    assert "kidneys: exists already" in done.stderr
