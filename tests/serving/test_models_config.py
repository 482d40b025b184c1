"""``models.config`` as TensorFlow Serving's own message reads it, before and after: nothing else changes."""

import re

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.serving.config_text import read_text
from keras_unet3d.serving.models_config import is_label, served_only, with_model

OTHERS = """# served by the lab; ask Ada
model_config_list: {
  config: {
    name: 'liver', base_path: "/srv/" "liver";   # mounted there
    model_platform: "tensorflow"
    logging_config { log_collector_config { type: "" filename_prefix: "/tmp/}{" }
      sampling_config < sampling_rate: 0.1 > }
  }
  config { name: "kidney" base_path: "/srv/kidney" model_version_policy { latest { num_versions: 2 } } }
  # config { name: "old" }
}
"""


@pytest.fixture
def read():
    """By the message of tensorflow-serving-api."""
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2").ModelServerConfig

    def models(text):
        return {each.name: each for each in text_format.Parse(text, config()).model_config_list.config}

    return models


def served(model):
    return list(model.model_version_policy.specific.versions), dict(model.version_labels)


def test_a_new_file_names_the_model(read):
    text = with_model("", "kidney", [1])
    (model,) = read(text).values()
    assert (model.name, model.base_path, model.model_platform) == ("kidney", "/models/kidney", "tensorflow")
    assert not model.HasField("model_version_policy")
    assert with_model(text, "kidney", [1, 2]) == text  # the newest is served anyway


def test_a_model_is_added_where_the_others_lie_and_nothing_else_changes(read):
    text = with_model(OTHERS, "heart", [1])
    before, after = read(OTHERS), read(text)
    assert after.pop("heart").base_path == "/srv/heart"
    assert after == before
    for line in OTHERS.splitlines():
        assert line in text
    assert read(with_model("# mine\n", "kidney", [3], ("stable", 3)))["kidney"].version_labels == {"stable": 3}
    assert read(with_model("model_config_list {}", "kidney", [3])).keys() == {"kidney"}


def test_labels_come_with_the_versions_that_they_need(read):
    """The newest is served beside them; a label that moves needs the version that it leaves for one change more."""
    text = with_model("", "kidney", [4])
    text = with_model(text, "kidney", [3, 4], ("stable", 4))
    assert served(read(text)["kidney"]) == ([4], {"stable": 4})
    text = with_model(text, "kidney", [3, 4, 5], ("canary", 5))
    assert served(read(text)["kidney"]) == ([4, 5], {"stable": 4, "canary": 5})
    text = with_model(text, "kidney", [3, 4, 5], ("stable", 5))
    assert served(read(text)["kidney"]) == ([4, 5], {"stable": 5, "canary": 5})
    text = with_model(text, "kidney", [3, 4, 5, 6])
    assert served(read(text)["kidney"]) == ([5, 6], {"stable": 5, "canary": 5})
    assert with_model(text, "kidney", [3, 4, 5, 6]) == text
    assert served_only(text, "kidney") == [5, 6]
    assert served_only(text, "liver") is None
    text = with_model(text, "kidney", [3, 4, 5, 6], ("stable", 3))  # back
    assert served(read(text)["kidney"]) == ([3, 5, 6], {"stable": 3, "canary": 5})


def test_only_the_entry_of_a_label_changes(read):
    text = with_model(OTHERS, "kidney", [1, 2], ("stable", 1))
    before, after = read(OTHERS), read(text)
    assert after["liver"] == before["liver"]
    assert (after["kidney"].name, after["kidney"].base_path) == ("kidney", "/srv/kidney")
    assert served(after["kidney"]) == ([1, 2], {"stable": 1})
    assert '# config { name: "old" }' in text
    assert "# mounted there" in text
    text = with_model(OTHERS, "liver", [7], ("stable", 7))
    before, after = read(OTHERS), read(text)
    assert after["kidney"] == before["kidney"]
    assert after["liver"].logging_config == before["liver"].logging_config
    assert served(after["liver"]) == ([7], {"stable": 7})


def test_what_the_user_pinned_stays_served(read):
    pinned = 'model_config_list { config { name: "a" model_version_policy { specific { versions: [2, 9] } } } }'
    assert with_model(pinned, "a", [2, 3]) == pinned
    assert served_only(pinned, "a") == [2, 9]
    assert served(read(with_model(pinned, "a", [2, 3], ("stable", 3)))["a"]) == ([2, 3], {"stable": 3})
    everything = 'model_config_list { config { name: "a" model_version_policy: { all: {} } } }'
    labelled = read(with_model(everything, "a", [2, 3], ("stable", 2)))["a"]
    assert labelled.model_version_policy.HasField("all")
    assert labelled.version_labels == {"stable": 2}


LABELS = st.sampled_from(["stable", "canary", "blue"])


@given(st.lists(st.tuples(st.sampled_from(["kidney", "liver", "heart"]), LABELS | st.none()), max_size=8))
def test_every_label_is_of_a_version_that_is_served(exports):
    """Whatever is exported in which order; the newest is always served."""
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2").ModelServerConfig
    text, there = OTHERS, {"kidney": 0, "liver": 0, "heart": 0}
    for name, label in exports:
        there[name] += 1
        text = with_model(text, name, list(range(1, there[name] + 1)), label and (label, there[name]))
        for model in text_format.Parse(text, config()).model_config_list.config:
            versions, labels = served(model)
            if labels:
                assert {*labels.values(), there[model.name]} <= set(versions) <= set(range(1, there[model.name] + 1))
                assert len(versions) <= len(set(labels.values())) + 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model_config_list {\n  config {\n", "line 3: the name of a field was expected, and the end found"),
        ('model_config_list { config { name: "a } }', "line 1: '\"' was not expected"),
        ("model_config_list {\n config { name: kidney } }", "name is kidney, which is no text"),
        ("model_config_list { config { base_path: '/a' } }", "each config needs one name"),
        ("custom_model_config { }", "one model_config_list was expected"),
        ("model_config_list { } model_config_list { }", "one model_config_list was expected"),
        ("model_config_list { config { name: 'kidney' } config { name: 'kidney' } }", "kidney is named 2 times"),
        ("{}", "line 1: the name of a field was expected, and '{' found"),
        ("model_config_list { config { name: 'kidney' version_labels { key: 'a' } } }", "needs a key and a value"),
        (
            "model_config_list { config { name: 'kidney' version_labels { key: 'a' value: x } } }",
            "x, which is no whole",
        ),
        (
            "model_config_list { config { name: 'kidney' version_labels { key: 'a' value: 1 } } }",
            "remove the label, or",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(text, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        with_model(text, "kidney", [2])


def test_values_are_found_where_they_stand():
    text = "a: 0x10 # ten\nb < c: 'x' \"y\" >; [type.googleapis.com/d.E] { f: -1 } g: [1, 2]"
    read = read_text(text)
    assert [each.name for each in read.fields] == ["a", "b", "type.googleapis.com/d.E", "g", "g"]
    assert read.all("a")[0].integer == 16
    assert read.all("b")[0].all("c")[0].string == "xy"
    assert [each.integer for each in read.all("g")] == [1, 2]
    assert text[read.all("b")[0].start : read.all("b")[0].stop] == "b < c: 'x' \"y\" >;"


def test_labels_are_words_that_an_address_can_hold():
    assert all(map(is_label, ["stable", "canary", "release-1.2", "a"]))
    assert not any(map(is_label, ["", "3", "a b", "a/b", "é", "-a"]))
