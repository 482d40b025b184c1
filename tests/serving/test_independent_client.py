"""A client that others wrote, OpenVINO's ``ovmsclient``, asks the stand-in and gets what our own client gets.

It needs a protobuf older than ours, so it lies in a folder of its own, which OVMSCLIENT names:

    pip install --target ovms ovmsclient 'protobuf<4' && OVMSCLIENT=ovms pytest tests/serving/test_independent_client.py
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_unet3d.serving.saved_model import load_model

FOLDER = os.environ.get("OVMSCLIENT", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="OVMSCLIENT names no folder with ovmsclient")

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from ovmsclient import make_grpc_client
address, inputs, outputs = sys.argv[2:]
client, inputs = make_grpc_client(address), dict(np.load(inputs))
status = client.get_model_status(model_name="moving", model_version=1)
assert status[1]["state"] == "AVAILABLE", status
told = client.get_model_metadata(model_name="moving", model_version=1)
assert sorted(told["inputs"]) == ["image", "intensity"], told
assert told["inputs"]["image"]["shape"] == [-1, -1, -1, -1, 2], told
np.save(outputs, client.predict(inputs, "moving", 1))
try:
    client.get_model_status(model_name="liver")
except Exception as error:
    assert type(error).__name__ == "ModelNotFoundError", error
else:
    raise SystemExit("a model that is not there was found")
"""


@pytest.mark.parametrize("form", ["", "content"])
def test_a_client_of_others_gets_the_same_probabilities(ports, noise, tmp_path, form):
    image, intensity = noise(20, 24, 28)[None], np.float32([[[1000, 200], [990, 210]]])
    np.savez(tmp_path / "inputs.npz", image=image, intensity=intensity)
    call = [sys.executable, "-I", "-c", SCRIPT, FOLDER, ports[form], tmp_path / "inputs.npz", tmp_path / "found.npy"]
    environment = os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    expected = load_model(ports.models["moving"]).probabilities(image, intensity)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-6)
