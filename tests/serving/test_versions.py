"""Which folder a user means."""

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.serving.versions import next_version, version_folder, versions


def make(folder, *names):
    for name in names:
        (folder / name).mkdir()
        (folder / name / "saved_model.pb").touch()
    return folder


def test_the_newest_version_is_the_largest_number(tmp_path):
    make(tmp_path, "9", "10", "2")
    assert versions(tmp_path) == [2, 9, 10]
    assert version_folder(tmp_path) == tmp_path / "10"
    assert next_version(tmp_path) == tmp_path / "11"


def test_a_version_may_be_named(tmp_path):
    make(tmp_path, "9", "10")
    assert version_folder(f"{tmp_path}/9") == tmp_path / "9"


def test_what_is_no_number_is_no_version(tmp_path):
    make(tmp_path, "3", ".4.partial-1f", "5a", "-6", "²")
    (tmp_path / "7").touch()
    assert versions(tmp_path) == [3]
    assert next_version(tmp_path / "new") == tmp_path / "new" / "1"


def test_leading_zeros_are_found_again(tmp_path):
    make(tmp_path, "007")
    assert version_folder(tmp_path) == tmp_path / "007"
    assert next_version(tmp_path).name == "8"


def test_each_mistake_has_its_sentence(tmp_path):
    with pytest.raises(InputError, match="there is no such model"):
        version_folder(tmp_path / "models")
    with pytest.raises(InputError, match=r"neither saved_model\.pb nor a version"):
        version_folder(tmp_path)
    (tmp_path / "1").mkdir()
    with pytest.raises(InputError, match=r"1: is no model: it holds no saved_model\.pb"):
        version_folder(tmp_path)
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match="is a file"):
        version_folder(tmp_path / "model.keras")
