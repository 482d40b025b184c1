"""What a SavedModel's graph may hold. It is a program: it is read before anything of it is run."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from keras_unet3d.errors import InputError
from keras_unet3d.serving.versions import GRAPH_FILE

SIGNATURES = ("segment_volume", "serving_default", "intensity")

_ARITHMETIC = """
    Abs AddV2 Any ArgMax BiasAdd BroadcastTo Cast ConcatV2 Const Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2
    EnsureShape ExpandDims Fill FloorDiv FloorMod FusedBatchNormV3 GatherV2 Greater Identity IdentityN If Less
    LogicalAnd LogicalOr Max MaxPool MaxPool3D Maximum Mean Min Minimum Mul Neg NoOp OnesLike Pack PartitionedCall Prod
    Range ReadVariableOp RealDiv Relu Reshape Rsqrt Select SelectV2 Shape Slice Softmax Sqrt Square SquaredDifference
    Squeeze StatefulPartitionedCall StatelessWhile StopGradient StridedSlice Sub Sum TensorStridedSliceUpdate Tile
    Transpose Unpack While ZerosLike
"""
ARITHMETIC = frozenset(_ARITHMETIC.split())
"""What our exports compute with, and a little of what other versions of Keras put in its place. None of these reads
or writes a file, runs Python, or changes a variable."""

VARIABLES = frozenset({"AssignVariableOp", "Placeholder", "VarHandleOp", "VarIsInitializedOp"})
"""What declares variables and inputs, outside every function."""

_CHECKPOINT = """
    AssignVariableOp DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch
    StringJoin
"""
CHECKPOINT = frozenset(_CHECKPOINT.split())
"""What TensorFlow's saver needs in its own two functions, which nothing else may call."""


def check_graph(folder: Path, signatures: Sequence[str] = SIGNATURES) -> None:
    """Read a SavedModel's graph without running it, and refuse what our exports do not need.

    Args:
        folder: of the SavedModel.
        signatures: that it must have.

    Raises:
        InputError: if the file is damaged, lacks a signature, or holds operations or connections beyond those of our
            exports.
    """
    meta_graph = _read_meta_graph(folder)
    nodes, functions = meta_graph.graph_def.node, meta_graph.graph_def.library.function
    saver_nodes = {_node_name(meta_graph.saver_def.save_tensor_name), _node_name(meta_graph.saver_def.restore_op_name)}
    saver_functions = {name for node in nodes if node.name in saver_nodes for name in _called(node)}

    strange = {node.op for node in nodes} - ARITHMETIC - VARIABLES
    for function in functions:
        allowed = ARITHMETIC | CHECKPOINT if function.signature.name in saver_functions else ARITHMETIC
        strange |= {node.op for node in function.node_def} - allowed
    if strange:
        raise InputError(
            f"{folder}: holds operations that no segmentation model needs, {', '.join(sorted(strange)[:5])}, and was "
            f"not loaded: it could read or write files, or run programs. Get the model from a source that you trust."
        )
    if saver_functions & _reachable(meta_graph, saver_nodes) or saver_nodes & _inputs(meta_graph, saver_nodes):
        raise InputError(
            f"{folder}: calls what writes its checkpoint from elsewhere, and was not loaded: it could read or write "
            f"files. Get the model from a source that you trust."
        )
    missing = [name for name in signatures if name not in meta_graph.signature_def]
    if missing:
        raise InputError(f"{folder}: lacks the signatures {', '.join(missing)}. Export the model again.")


def _read_meta_graph(folder: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel()
    try:
        saved_model.ParseFromString((folder / GRAPH_FILE).read_bytes())
    except (DecodeError, OSError) as error:
        raise InputError(f"{folder / GRAPH_FILE}: is damaged ({error}). Export the model again.") from error
    if len(saved_model.meta_graphs) != 1 or not saved_model.meta_graphs[0].HasField("object_graph_def"):
        raise InputError(f"{folder / GRAPH_FILE}: is no SavedModel of TensorFlow 2. Export the model again.")
    return saved_model.meta_graphs[0]


def _reachable(meta_graph: Any, saver_nodes: set[str]) -> set[str]:
    """Functions that can be called from anywhere but the saver's own nodes: by nodes, functions, loaded objects."""
    nodes = [node for node in meta_graph.graph_def.node if node.name not in saver_nodes]
    for function in meta_graph.graph_def.library.function:
        nodes += function.node_def
    names = {name for node in nodes for name in _called(node)}
    names |= set(meta_graph.object_graph_def.concrete_functions)
    for loaded in meta_graph.object_graph_def.nodes:
        names |= set(loaded.function.concrete_functions)
        names.add(loaded.bare_concrete_function.concrete_function_name)
    return names


def _inputs(meta_graph: Any, saver_nodes: set[str]) -> set[str]:
    """Nodes whose results are used: by other nodes, by signatures, by what runs on loading."""
    tensors: list[str] = []
    for node in meta_graph.graph_def.node:
        if node.name not in saver_nodes:
            tensors += node.input
    for signature in meta_graph.signature_def.values():
        tensors += [tensor.name for tensor in (*signature.inputs.values(), *signature.outputs.values())]
    for collection in meta_graph.collection_def.values():
        tensors += collection.node_list.value
    return {_node_name(tensor) for tensor in tensors}


def _called(node: Any) -> Iterable[str]:
    """Names of the functions that a node calls."""
    for attribute in node.attr.values():
        if attribute.func.name:
            yield attribute.func.name
        yield from (function.name for function in attribute.list.func)


def _node_name(tensor: str) -> str:
    """``^name`` and ``name:0`` are the results of node ``name``."""
    return tensor.removeprefix("^").split(":")[0]
