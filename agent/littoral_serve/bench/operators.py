"""What each operator of a .tflite costs: every one cut out into a model of its own, and measured.

No runtime tells it by a documented interface. What is measured is an operator with warm caches;
docs/bench.md says what that hides.
"""

import copy
import time
from typing import Any, Final

import numpy as np

from littoral.errors import LittoralError
from littoral.model import graph
from littoral.model.backends import open_session
from littoral.model.backends.base import Session
from littoral_serve.bench import feeding
from littoral_serve.bench.result import Operator

_LEAST: Final = 5
_MOST: Final = 20_000


def profile(
    model: bytes, *, backend: str, threads: int, seconds_each: float
) -> tuple[tuple[Operator, ...], str]:
    """Return the operators in the order in which they run; if there are none, why."""
    if backend not in {"litert", "edgetpu", "reference"}:
        return (), f"operators are measured of .tflite files, not with {backend}"
    try:
        known = graph.read(model)
        root = _unpacked(model)
    except (LittoralError, ImportError) as e:
        return (), f"its operators cannot be told apart: {e}"
    nothing = _nothing_us(backend, threads, seconds_each)
    found = []
    for index, node in enumerate(known.nodes):
        try:
            session = open_session(backend, _cut(root, index, model), threads=threads)
            us = max(0.0, _median_us(session, seconds_each) - nothing)
        except (LittoralError, ValueError, TypeError, AttributeError) as e:
            return (), f"operator {index}, {node.op}, does not run alone: {e}"
        shape = known.tensors[node.outputs[0]].shape if node.outputs else ()
        found.append(Operator(index=index, op=node.op, shape=shape, us=round(us, 3), share=0.0))
    total = sum(one.us for one in found) or 1.0
    return tuple(
        Operator(
            index=one.index, op=one.op, shape=one.shape, us=one.us, share=round(one.us / total, 5)
        )
        for one in found
    ), ""


def _median_us(session: Session, seconds: float) -> float:
    sample = feeding.inputs(session.inputs, None, (), read=lambda _: b"")[0][0]
    for _ in range(_LEAST):
        session.run(*sample)
    spent: list[int] = []
    end = time.perf_counter_ns() + seconds * 1e9
    now = 0
    while (now < end or len(spent) < _LEAST) and len(spent) < _MOST:
        start = time.perf_counter_ns()
        session.run(*sample)
        now = time.perf_counter_ns()
        spent.append(now - start)
    return float(np.median(spent)) / 1e3


def _nothing_us(backend: str, threads: int, seconds: float) -> float:
    """Return what an inference takes that does nothing: RESHAPE of one element."""
    from ai_edge_litert import schema_py_generated as schema

    root = schema.ModelT()
    root.version = 3
    root.description = b"nothing"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    shape = schema.BufferT()
    shape.data = np.frombuffer(np.array([1], "<i4").tobytes(), np.uint8)
    root.operatorCodes, root.buffers = [code], [schema.BufferT(), shape]
    sub = schema.SubGraphT()
    sub.tensors = [
        _plain("in", schema.TensorType.INT8, 0),
        _plain("shape", schema.TensorType.INT32, 1),
        _plain("out", schema.TensorType.INT8, 0),
    ]
    one = schema.OperatorT()
    one.opcodeIndex, one.inputs, one.outputs = 0, [0, 1], [2]
    sub.operators, sub.inputs, sub.outputs = [one], [0], [2]
    root.subgraphs = [sub]
    if backend == "edgetpu":
        backend = "litert"
    return _median_us(open_session(backend, _packed(root), threads=threads), seconds)


def _plain(name: str, kind: int, buffer: int) -> Any:  # noqa: ANN401 (of the schema)
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), [1], kind, buffer
    return tensor


def _unpacked(model: bytes) -> Any:  # noqa: ANN401
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(model, 0)


def _cut(root: Any, index: int, model: bytes) -> bytes:  # noqa: ANN401
    """Return a model of the operator ``index`` alone; what is not constant is its input."""
    from ai_edge_litert import schema_py_generated as schema

    whole = root.subgraphs[0]
    one = copy.copy(whole.operators[index])
    made = schema.ModelT()
    made.version, made.description = root.version, b"one operator"
    made.operatorCodes = [root.operatorCodes[one.opcodeIndex]]
    one.opcodeIndex = 0
    made.buffers = [schema.BufferT()]
    sub = schema.SubGraphT()
    sub.tensors, places = [], {}
    intermediates = [] if one.intermediates is None else list(one.intermediates)
    for number in (*one.inputs, *one.outputs, *intermediates):
        if number >= 0 and number not in places:
            places[number] = len(sub.tensors)
            tensor = copy.copy(whole.tensors[number])
            tensor.buffer = _kept(made, root.buffers[tensor.buffer], model)
            sub.tensors.append(tensor)
    one.inputs, one.outputs = (
        [places.get(n, -1) for n in held] for held in (one.inputs, one.outputs)
    )
    one.intermediates = [places[n] for n in intermediates] or None
    sub.operators = [one]
    sub.inputs = [
        n
        for n in dict.fromkeys(one.inputs)
        if n >= 0 and not sub.tensors[n].buffer and not sub.tensors[n].isVariable
    ]
    sub.outputs = list(one.outputs)
    made.subgraphs = [sub]
    return _packed(made)


def _kept(made: Any, buffer: Any, model: bytes) -> int:  # noqa: ANN401
    """Return the number of ``buffer`` in ``made``; 0 stands for no constant."""
    from ai_edge_litert import schema_py_generated as schema

    data = buffer.data
    if (data is None or not len(data)) and buffer.offset > 1:  # behind the flatbuffer
        data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
    if data is None or not len(data):
        return 0
    held = schema.BufferT()
    held.data = np.asarray(data, np.uint8)
    made.buffers.append(held)
    return len(made.buffers) - 1


def _packed(root: Any) -> bytes:  # noqa: ANN401
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())
