import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.evaluation.demonstration import MINUTES, clear_folder, demo_settings


def test_it_trains_for_its_minutes_unless_told():
    assert demo_settings(None, None).minutes == MINUTES
    assert demo_settings(1.5, None).minutes == 1.5
    assert (demo_settings(None, 3).steps, demo_settings(None, 3).minutes) == (3, None)


def test_starting_over_removes_what_a_demo_made_and_nothing_else(tmp_path):
    folder = clear_folder(tmp_path / "deep" / "demo")
    (folder / "data" / "images").mkdir(parents=True)
    (folder / "report.html").touch()
    (folder / "notes.txt").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept.txt").touch()
    (folder / "models").symlink_to(elsewhere)
    clear_folder(folder)
    assert sorted(path.name for path in folder.iterdir()) == [".unet3d-demo", "notes.txt"]
    assert (elsewhere / "kept.txt").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="no demo made"):
        clear_folder(tmp_path)
    assert (tmp_path / "data").exists()
