"""Runs a TF.js graph model without a browser: its graph and its weights, as the files hold them.

What the page will compute is computed by TensorFlow here, from what was written and from nothing
else; so that weights that were shortened, or a graph that was rewritten wrongly, are seen.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SPLIT: Final = "FusedDepthwiseConv2dNative"  # TF.js's own; TensorFlow has it in two operators


class UnknownOperatorError(Exception):
    """TF.js has operators that TensorFlow has not."""


class GraphModel:
    """A graph model of one input and one output. Not safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf
        from google.protobuf import json_format

        told = json.loads((folder / "model.json").read_bytes())
        graph = json_format.ParseDict(told["modelTopology"], tf.compat.v1.GraphDef())
        _fill(tf, graph, _weights(told["weightsManifest"], folder))
        _split(tf, graph)
        (source,) = told["signature"]["inputs"].values()
        (answer,) = told["signature"]["outputs"].values()
        self._graph = tf.Graph()
        with self._graph.as_default():
            try:
                tf.import_graph_def(graph, name="")
            except ValueError as e:
                raise UnknownOperatorError(str(e)) from e
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._source, self._answer = source["name"], answer["name"]

    def __call__(self, sample: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the answer to ``sample``, which has a batch of one."""
        found: NDArray[np.float32] = self._session.run(self._answer, {self._source: sample})
        return found


def _weights(manifest: list[Any], folder: Path) -> dict[str, NDArray[Any]]:
    from tensorflowjs.read_weights import read_weights

    found = read_weights(manifest, str(folder), flatten=True)
    return {weight["name"]: weight["data"] for weight in found}


def _fill(tf: Any, graph: Any, weights: dict[str, NDArray[Any]]) -> None:  # noqa: ANN401
    for node in graph.node:
        if node.op == "Const" and node.name in weights:
            dtype = tf.dtypes.as_dtype(node.attr["dtype"].type).as_numpy_dtype
            value = tf.make_tensor_proto(weights[node.name].astype(dtype))
            node.attr["value"].tensor.CopyFrom(value)


def _split(tf: Any, graph: Any) -> None:  # noqa: ANN401
    """Put TensorFlow's operators in the place of TF.js's fused one."""
    nodes = [made for node in graph.node for made in _unfused(tf, node)]
    del graph.node[:]
    graph.node.extend(nodes)


def _unfused(tf: Any, node: Any) -> Iterator[Any]:  # noqa: ANN401
    if node.op != _SPLIT:
        yield node
        return
    fused = [name.decode() for name in node.attr["fused_ops"].list.s]
    source, weights, *beside = node.input
    first = tf.compat.v1.NodeDef()
    first.CopyFrom(node)
    first.op = "DepthwiseConv2dNative"
    for name in ("fused_ops", "num_args", "epsilon", "leakyrelu_alpha"):
        first.attr.pop(name, None)
    del first.input[:]
    first.input.extend([source, weights])
    made = [first]
    for op in fused:
        after = tf.compat.v1.NodeDef(op=op)
        after.attr["T"].CopyFrom(node.attr["T"])
        after.input.append("")
        if op == "BiasAdd":
            after.input.append(beside.pop(0))
        made.append(after)
    for k, one in enumerate(made):
        one.name = node.name if one is made[-1] else f"{node.name}/part{k}"
        if k:
            one.input[0] = made[k - 1].name
    yield from made
