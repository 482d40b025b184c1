"""Nothing is left to decide in what a training begins with."""

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.training.resolved import ResolvedSettings, read_resolved
from keras_unet3d.training.resolved import resolved as as_resolved
from keras_unet3d.training.settings import Settings, read_settings


def test_what_is_undecided_is_named(resolved):
    given = read_settings(None, {"steps": 1, "network.filters": 4})
    with pytest.raises(InputError) as caught:
        as_resolved(given)
    for name in ("tile", "batch_size", "network.depth", "optimizer.learning_rate", "loss.class_weights"):
        assert f"{name}: is undecided" in str(caught.value)
    assert "network.filters" not in str(caught.value)
    decided = resolved()
    assert as_resolved(Settings.model_validate(decided.model_dump())) == decided


def test_what_a_run_has_decided_is_read_back_whole(resolved, tmp_path):
    decided = resolved({"intensity.windows.CT": "-160 240"})
    assert isinstance(decided, ResolvedSettings)
    decided.write(tmp_path / "settings.toml")
    assert read_resolved(tmp_path / "settings.toml") == decided


def test_what_an_earlier_version_left_out_is_said_with_the_file(tmp_path):
    read_settings(None, {"steps": 1}).write(tmp_path / "settings.toml")
    with pytest.raises(InputError, match=r"settings\.toml: tile: is undecided") as caught:
        read_resolved(tmp_path / "settings.toml")
    assert "remove" in str(caught.value).lower()
