"""A SavedModel is a program: what could touch files or run Python is refused unread."""

import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import DESCRIPTION_FILE
from keras_unet3d.serving.saved_model import load_model
from keras_unet3d.serving.trusted_graph import check_graph

VOLUME = tf.TensorSpec([None, None, None, 2], tf.float32, name="image")


def reading(image):
    text = tf.io.read_file("/etc/hostname")
    return {"labels": tf.cast(image[..., 0], tf.int32) + tf.strings.length(text)}


def writing(image):
    with tf.control_dependencies([tf.io.write_file("/dev/null", "labels")]):
        return {"labels": tf.cast(image[..., 0], tf.uint8)}


def python(image):
    return {"labels": tf.py_function(lambda values: values[..., 0], [image], tf.float32)}


def numpy_function(image):
    return {"labels": tf.numpy_function(lambda values: values[..., 0], [image], tf.float32)}


@pytest.mark.parametrize(
    ("function", "operation"),
    [(reading, "ReadFile"), (writing, "WriteFile"), (python, "EagerPyFunc"), (numpy_function, "PyFunc")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_file_and_python_operations_are_refused(function, operation, exported, tmp_path):
    module = tf.Module()
    module.segment_volume = tf.function(function, input_signature=[VOLUME], autograph=False)
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"segment_volume": module.segment_volume})
    (tmp_path / "1" / DESCRIPTION_FILE).parent.mkdir(exist_ok=True)
    shutil.copy(exported["moving"].path / DESCRIPTION_FILE, tmp_path / "1" / DESCRIPTION_FILE)
    with pytest.raises(InputError, match=rf"{operation}.*source that you trust"):
        load_model(tmp_path)


def test_a_model_that_changes_its_variables_is_refused(tmp_path):
    module = tf.Module()
    module.calls = tf.Variable(0.0)

    def counting(image):
        return {"labels": image[..., 0] + module.calls.assign(module.calls + 1)}

    module.segment_volume = tf.function(counting, input_signature=[VOLUME], autograph=False)
    tf.saved_model.save(module, str(tmp_path), signatures={"segment_volume": module.segment_volume})
    with pytest.raises(InputError, match="AssignVariableOp"):
        check_graph(tmp_path)


@pytest.fixture
def edited(exported, tmp_path):
    """Our own export, with a change to its protocol buffer; and the names of its saver's nodes and functions."""

    def edit(change):
        folder = shutil.copytree(exported["moving"].path, tmp_path / "1")
        saved_model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        meta_graph = saved_model.meta_graphs[0]
        name = meta_graph.saver_def.save_tensor_name.split(":")[0]
        save = next(node for node in meta_graph.graph_def.node if node.name == name)
        change(meta_graph, save, save.attr["f"].func.name)
        (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
        return folder

    return edit


def test_our_own_exports_pass(exported, edited):
    for model in exported.values():
        check_graph(model.path)
    check_graph(edited(lambda *_: None))


def called_by_a_signature(meta_graph, _, saving):
    calls = [node for node in meta_graph.graph_def.node if node.op == "PartitionedCall"]
    calls[0].attr["f"].func.name = saving


def called_by_a_function(meta_graph, _, saving):
    calls = (node for function in meta_graph.graph_def.library.function for node in function.node_def)
    next(node for node in calls if node.op == "StatefulPartitionedCall").attr["f"].func.name = saving


def body_of_a_loop(meta_graph, _, saving):
    calls = (node for function in meta_graph.graph_def.library.function for node in function.node_def)
    next(node for node in calls if node.op == "While").attr["body"].func.name = saving


def loaded_as_an_object(meta_graph, _, saving):
    meta_graph.object_graph_def.nodes.add().function.concrete_functions.append(saving)


def loaded_as_a_signature(meta_graph, _, saving):
    nodes = meta_graph.object_graph_def.nodes
    function = next(node.bare_concrete_function for node in nodes if node.HasField("bare_concrete_function"))
    function.concrete_function_name = saving


def result_of_a_signature(meta_graph, save, _):
    next(iter(meta_graph.signature_def["segment_volume"].outputs.values())).name = f"{save.name}:0"


def run_on_loading(meta_graph, save, _):
    meta_graph.collection_def["saved_model_main_op"].node_list.value.append(save.name)


def waited_for(meta_graph, save, _):
    meta_graph.graph_def.node.add(name="waiting", op="NoOp", input=[f"^{save.name}"])


@pytest.mark.parametrize(
    "change",
    [
        called_by_a_signature,
        called_by_a_function,
        body_of_a_loop,
        loaded_as_an_object,
        loaded_as_a_signature,
        result_of_a_signature,
        run_on_loading,
        waited_for,
    ],
)
def test_the_savers_file_operations_serve_nobody_else(change, edited):
    with pytest.raises(InputError, match="from elsewhere"):
        check_graph(edited(change))


def test_an_older_format_is_refused(edited):
    folder = edited(lambda meta_graph, *_: meta_graph.ClearField("object_graph_def"))
    with pytest.raises(InputError, match="no SavedModel of TensorFlow 2"):
        check_graph(folder)
