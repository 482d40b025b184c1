"""The client against a stand-in for TensorFlow Serving, a process of its own: what it learns, and every fault."""

import shutil
import time
import warnings
from threading import Thread

import numpy as np
import pytest

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving import Access, Client
from keras_unet3d.serving.saved_model import load_model

WORD = "sesame"


@pytest.fixture
def ask(ports):
    """Make a client of a model behind a port with these faults, or several."""
    clients = []

    def make(*faults, model="moving", folder=None, version=None, label=None, **access):
        addresses = [ports.addresses.get(each, each) for each in faults]
        asked = Access(**({"deadline": 20, "patience": 5} | access))
        clients.append(Client(addresses, model, version=version, label=label, folder=folder, access=asked))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def tile(noise):
    return noise(20, 22, 18)[None], np.float32([[[1000, 200], [990, 210]]])


def test_the_model_says_what_it_is(ask, exported):
    client = ask("")
    assert client.description == load_model(exported["moving"].path).description
    assert (client.version, client.path) == (1, "moving/1")


@pytest.mark.parametrize("form", ["", "content"])
@pytest.mark.parametrize("model", ["moving", "padded", "group", "spaced"])
def test_probabilities_are_those_of_the_model_in_both_forms(ask, ports, noise, form, model):
    sides = (20, 24, 28)
    tiles, intensity = np.stack([noise(*sides), -noise(*sides)]), np.float32([[[1000, 200], [990, 210]]] * 2)
    expected = load_model(ports.models[model]).probabilities(tiles, intensity)
    np.testing.assert_allclose(ask(form, model=model).probabilities(tiles, intensity), expected, atol=1e-6)


def test_a_model_is_named_by_version_or_label(ask, tile):
    newest = ask("").probabilities(*tile)
    for client in (ask("", version=1), ask("", label="stable")):
        np.testing.assert_array_equal(client.probabilities(*tile), newest)
        assert client.version == 1


def test_what_is_not_there_is_named_with_what_is(ask):
    with pytest.raises(InputError, match=r"Its versions there: 1 \(available\)"):
        _ = ask("", version=7).description
    with pytest.raises(InputError, match="knows no model 'liver'"):
        _ = ask("", model="liver").description
    with pytest.raises(WorkError, match="Unrecognized servable version label: canary"):
        _ = ask("", label="canary").description


def test_a_model_that_does_not_describe_itself_needs_a_copy(ask, ports, tile):
    with pytest.raises(InputError, match="--model FOLDER"):
        _ = ask("", model="silent").description
    client = ask("", model="silent", folder=ports.models["silent"])
    np.testing.assert_array_equal(client.probabilities(*tile), ask("").probabilities(*tile))


def test_a_copy_of_another_model_is_refused(ask, tmp_path, random_network, describe):
    from keras_unet3d.serving.export import export_model

    two = describe(values=(0, 1), tile=(20, 20, 20))
    folder = export_model(random_network(2, 2, filters=2, depth=1, normalization="batch"), tmp_path / "two", two)
    with pytest.raises(InputError, match="2 channels and 2 classes"):
        _ = ask("", folder=folder).description


def test_a_tile_of_a_wrong_size_is_the_servers_to_refuse(ask, tile):
    image, intensity = tile
    with pytest.raises(WorkError, match="INVALID_ARGUMENT"):
        ask("").probabilities(image[:, :19], intensity)


@pytest.mark.parametrize("faults", ["loading=0.7", "unloaded=0.7"])
def test_a_server_that_is_still_loading_is_waited_for(ask, faults):
    client = ask(faults)
    assert client.version == 1
    assert client.traffic.failures >= 2


def test_a_server_that_comes_back_is_found_again(ask, tile):
    client = ask("die-after=1,restart=0.5")
    first = client.probabilities(*tile)
    np.testing.assert_array_equal(client.probabilities(*tile), first)
    assert client.traffic.failures >= 1


def test_a_server_that_is_not_there_is_an_error_after_some_patience(ask):
    start = time.monotonic()
    with pytest.raises(WorkError, match=r"localhost:1: does not answer .* asked again for 0.5 s"):
        _ = ask("localhost:1", patience=0.5).description
    assert 0.5 < time.monotonic() - start < 5


def test_a_slow_server_meets_the_deadline(ask):
    with pytest.raises(WorkError, match=r"took longer than 0.3 s \(--deadline\)"):
        _ = ask("slow=30", deadline=0.3).description


def test_other_servers_stand_in_for_one_that_is_dead_or_slow(ask, tile):
    expected = ask("").probabilities(*tile)
    for faults in (("localhost:1", ""), ("slow=30", ""), ("", "content", "localhost:1")):
        client = ask(*faults, deadline=2)
        with pytest.warns(UserWarning, match="The other servers go on without it"):
            found = [client.probabilities(*tile) for _ in range(4)]
        assert all(np.array_equal(each, expected) for each in found)


def test_a_message_that_is_refused_tells_of_smaller_tiles(ask, noise):
    client = ask("refuse=100000")
    intensity = np.float32([[[1000, 200], [990, 210]]])
    client.probabilities(noise(20, 22, 18)[None], intensity)
    with pytest.raises(WorkError, match="--largest-message"):
        client.probabilities(noise(34, 36, 38)[None], intensity)


def test_answers_of_another_version_or_shape_are_not_taken(ask, tile):
    with pytest.raises(WorkError, match="version 9 answered in its place"):
        _ = ask("version=9").description
    with pytest.raises(WorkError, match="Expected numbers of shape"):
        ask("nonsense").probabilities(*tile)


def test_a_token_opens_the_door(ask):
    assert ask("token=sesame", token=WORD).version == 1
    with pytest.raises(InputError, match="--token"):
        _ = ask("token=sesame", token=WORD + "!").version


def test_tls_trusts_the_authority_that_is_named(ask, ports, tile):
    if ports.authority is None:
        pytest.skip("openssl, which makes the certificate, is missing")
    np.testing.assert_array_equal(ask("tls", tls=ports.authority).probabilities(*tile), ask("").probabilities(*tile))
    for access in ({"tls": True}, {}):
        with pytest.raises(WorkError, match="does not answer"):
            _ = ask("tls", patience=0.1, **access).version


def test_replies_may_be_larger_than_grpcs_4_mib(ask, noise):
    """76 × 76 × 76 voxels of 3 classes in 4 bytes each: 5.0 MiB."""
    image = noise(92, 92, 92)[None]
    client = ask("", model="moving")
    lost = client.description.geometry.margin[0]
    found = client.probabilities(image, np.float32([[[1000, 200], [990, 210]]]))
    assert found.shape == (1, *(3 * (92 - lost,)), 3)
    assert client.traffic.received > 4 * 2**20


def test_a_newer_version_does_not_answer_for_the_old_one(stand_in, tmp_path, exported, tile):
    """The server unloads version 1 once 2 is there: nobody gets half a volume from each."""
    folder = tmp_path / "model"
    shutil.copytree(exported["moving"].path, folder / "1")
    with stand_in({"model": folder}, [""]) as (address,), Client(address, "model", access=Access(patience=1)) as client:
        client.probabilities(*tile)
        shutil.copytree(exported["moving"].path, tmp_path / "unfinished")
        warm_up = tmp_path / "unfinished" / "assets.extra" / "tf_serving_warmup_requests"
        _write_warm_up(warm_up, "no such signature")
        (tmp_path / "unfinished").rename(folder / "2")
        _wait_for("2 (unloaded, Serving signature key", client)
        client.probabilities(*tile)  # a version whose warm-up fails takes no one's place
        shutil.copytree(exported["moving"].path, tmp_path / "unfinished")
        _write_warm_up(warm_up, "describe")
        (tmp_path / "unfinished").rename(folder / "3")
        _wait_for("1 (unloaded)", client)
        with pytest.raises(InputError, match=r"3 \(available\)"):
            client.probabilities(*tile)


def _wait_for(state, client):
    """Until the server says so of its versions."""
    for _ in range(100):
        try:
            _ = Client(client.servers, "model", version=99).version
        except InputError as error:
            if state in str(error):
                return
        time.sleep(0.1)
    pytest.fail(f"It never said {state}.")


def _write_warm_up(path, signature):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    request.inputs["batch"].CopyFrom(tf.make_tensor_proto(np.zeros(2, np.float32)))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    path.unlink(missing_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())


def test_threads_share_a_client(ask, tile):
    client, found = ask("", "content"), []
    expected = client.probabilities(*tile)
    threads = [Thread(target=lambda: found.append(client.probabilities(*tile))) for _ in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert all(np.array_equal(each, expected) for each in found)


def test_without_grpc_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    with pytest.raises(InputError, match=r"pip install 'keras-unet3d\[serving\]'"):
        Client("localhost")
