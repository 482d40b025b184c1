"""What was written is read back as TensorBoard reads it."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.tensor_util import make_ndarray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.metrics.precision_recall import PrecisionRecall
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.training.monitor import Monitor
from keras_unet3d.training.trainer import Circumstances, Training


def read(folder):
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    return events


def values(events, tag):
    return {event.step: make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "1"
    monitor = Monitor(folder, ("tubule", "background", "never seen"))
    model = build_unet3d((None, None, None, 1), 3, filters=2, depth=1, padding="same")
    monitor.start(model, {"steps": 20, "network": {"filters": 2, "padding": "same"}, "mirror": ["x"]})
    monitor.scalars(10, {"loss": 0.5, "learning_rate": 0.01})
    monitor.scalars(20, {"loss": 0.25})
    monitor.overlap(20, "validation", Overlap(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])))
    curves = PrecisionRecall(3)
    curves.add(np.array([0, 0, 1, -1], np.int16), np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.5, 0.5, 0]] * 2)[:4])
    monitor.curves(20, "validation", curves)
    monitor.pictures(20, {"validation/z": np.full((4, 6, 3), 255, np.uint8)})
    monitor.flush()
    return read(folder)


def test_scalars_stand_at_their_steps(written):
    assert values(written, "loss") == {10: 0.5, 20: 0.25}
    assert values(written, "learning_rate")[10] == pytest.approx(0.01)


def test_scores_are_those_of_each_class_and_a_class_that_is_nowhere_is_left_out(written):
    """Of tubule 3 of 4 voxels are found: IoU ¾ and Dice 6/7; background has one too many: IoU ⅘, Dice 8/9."""
    found = {tag: float(values(written, tag)[20]) for tag in written.Tags()["tensors"] if tag[:3] in ("iou", "dic")}
    assert found == pytest.approx(
        {
            "iou/validation/mean": (3 / 4 + 4 / 5) / 2,
            "iou/validation/tubule": 3 / 4,
            "iou/validation/background": 4 / 5,
            "dice/validation/mean": (6 / 7 + 8 / 9) / 2,
            "dice/validation/tubule": 6 / 7,
            "dice/validation/background": 8 / 9,
        }
    )


def test_the_graph_the_settings_and_pictures_are_there(written):
    nodes = {node.name for node in written.Graph().node}
    assert any("down0a_conv" in name for name in nodes)
    (text,) = values(written, "settings").values()
    assert b'"steps": 20' in text.item()
    width, height, png, *_ = values(written, "validation/z")[20]
    assert (int(width), int(height), png[1:4]) == (6, 4, b"PNG")


def test_runs_are_compared_by_their_settings(written):
    content = written.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    session = HParamsPluginData.FromString(content).session_start_info
    assert session.group_name.endswith("/1")
    assert session.group_name.count("/") == 2  # runs/b/1/fold_1 is another than runs/a/1/fold_1
    found = session.hparams
    assert {name: value.WhichOneof("kind") for name, value in found.items()} == {
        "steps": "number_value",
        "network.filters": "number_value",
        "network.padding": "string_value",
        "mirror": "string_value",
    }
    assert (found["network.filters"].number_value, found["mirror"].string_value) == (2, '["x"]')


def test_precision_and_recall_are_there_for_each_class_that_is(written):
    tags = [tag for tag in written.Tags()["tensors"] if "pr_curves" in tag]
    assert sorted(tags) == ["validation/background/pr_curves", "validation/tubule/pr_curves"]
    assert written.SummaryMetadata(tags[0]).plugin_data.plugin_name == "pr_curves"
    *counts, precision, recall = values(written, "validation/tubule/pr_curves")[20]
    at_a_half = [each[50] for each in counts]
    assert at_a_half == [1, 1, 0, 1]  # of 0.9 and 0.4 the first is found, and 0.5 of another class
    assert (precision[50], recall[50]) == (0.5, 0.5)


def test_a_training_writes_losses_scores_and_three_orthogonal_slices(tmp_path, resolved, bright_ball):
    scheme = LabelScheme((0, 1), ("background", "ball"))
    settings = resolved({"steps": 20})
    Training(settings, [bright_ball()], [bright_ball(seed=1)], scheme, (1.0, 1.0), Circumstances(tmp_path)).run()
    events = read(tmp_path)
    for tag in ("loss", "learning_rate", "gradient_norm", "iou/train/ball", "dice/train/mean"):
        assert set(values(events, tag)) == {10, 20}, tag
    assert all(value > 0 for value in values(events, "loss").values())
    assert values(events, "learning_rate")[10] == pytest.approx(0.01 * (1 - 9 / 20) ** 0.9 * 10 / 20)
    assert set(values(events, "iou/validation/ball")) == set(range(2, 21, 2))
    for axis in "zyx":
        assert set(values(events, f"validation/{axis}")) <= set(range(2, 21, 2))
        assert values(events, f"validation/{axis}")
    (settings_text,) = values(events, "settings").values()
    assert '"learning_rate": 0.01' in settings_text.item().decode()
    assert events.Graph().node
    assert set(values(events, "validation/ball/pr_curves")) == set(range(2, 21, 2))
