"""The demo's way is tested where it is run as a command; here, where it does not begin."""

import json

import pytest

from keras_unet3d import api
from keras_unet3d.errors import InputError


def test_several_workers_do_not_write_one_demo(tmp_path, monkeypatch):
    workers = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(workers))
    with pytest.raises(InputError, match="one worker"):
        api.demo(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []
