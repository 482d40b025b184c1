def test_it_touches_no_folder_that_it_did_not_make(unet3d, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years", encoding="utf-8")
    done = unet3d("demo", "--out", "mine")
    assert done.exit_code == 2
    assert "--out" in done.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "years"


def test_minutes_and_steps_contradict_each_other(unet3d):
    assert unet3d("demo", "--minutes", "1", "--steps", "1").exit_code == 2
