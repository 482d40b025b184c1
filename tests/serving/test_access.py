"""What is wrong with a way to call servers is found before one is called."""

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.serving import Access, Client

WORD = "sesame"


def test_the_port_of_grpc_is_the_usual_one_unless_named():
    access = Access()
    assert access.address("gpu") == "gpu:8500"
    assert access.address("gpu:9000") == "gpu:9000"
    assert access.address("[::1]") == "[::1]:8500"
    assert access.address("[::1]:9000") == "[::1]:9000"


@pytest.mark.parametrize("server", ["http://gpu:8501", "", " ", "gpu:", "gpu:grpc", "gpu:99999", "::1", "a b"])
def test_what_is_no_address_is_refused(server):
    with pytest.raises(InputError, match="is no server"):
        Client(server)


def test_a_token_does_not_cross_the_network_in_the_open():
    with pytest.raises(InputError, match="--tls"):
        Access(token=WORD).address("gpu:8500")
    assert Access(token=WORD).address("localhost:8500") == "localhost:8500"
    assert Access(token=WORD, tls=True).address("gpu") == "gpu:8500"


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadline": 0},
        {"deadline": float("nan")},
        {"patience": -1},
        {"in_flight": 0},
        {"largest_message": 0},
        {"largest_message": 2**31},
    ],
)
def test_values_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match="Expected"):
        Access(**wrong)


def test_certificates_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.pem"):
        Client("gpu", access=Access(tls=tmp_path / "none.pem"))


def test_no_server_and_both_version_and_label_are_refused():
    with pytest.raises(InputError, match="at least one server"):
        Client([])
    with pytest.raises(InputError, match="a version or a label"):
        Client("gpu", version=1, label="stable")
