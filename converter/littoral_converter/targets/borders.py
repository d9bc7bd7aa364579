"""Gives an INT8 model other borders: pixels or real numbers in, real numbers out.

Between the border and the model as it was stands one operator; the model itself is not touched.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

_UINT8: Final = 3  # TensorType
_FLOAT32: Final = 0
_QUANTIZE: Final = 114  # BuiltinOperator
_DEQUANTIZE: Final = 6
_NARROW: Final = 127  # the last operator that the field of old readers has room for
_VERSIONS: Final = {_QUANTIZE: 1, _DEQUANTIZE: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Stored as uint8, whatever a pixel means: ``real = scale * (pixel - zero_point)``."""

    scale: float
    zero_point: int


Border = Pixels | Literal["real"]


def replace(data: bytes, *, source: Border, metadata: bytes | None = None) -> bytes:
    """Return the model ``data``, whose input is ``source`` and whose output is real numbers.

    ``metadata`` becomes the model's TFLite Metadata.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    (graph,) = model.subgraphs
    _input(schema, model, graph, source)
    _output(schema, model, graph)
    if metadata is not None:
        _embed(schema, model, metadata)
    builder = flatbuffers.Builder(len(data) + 4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _input(schema: Any, model: Any, graph: Any, source: Border) -> None:  # noqa: ANN401
    (outer,) = graph.inputs
    inner = outer
    first = [o for o in graph.operators if outer in o.inputs]
    if len(first) == 1 and _code(model, first[0]) == _QUANTIZE:
        # The border that it was made with, for uint8: ours takes its place.
        (inner,) = first[0].outputs
        graph.operators.remove(first[0])
    if graph.tensors[inner].type == _FLOAT32 and source == "real":
        return
    fresh = _tensor(schema, graph, like=inner, border=source)
    graph.tensors[fresh].name, graph.tensors[inner].name = (
        graph.tensors[outer].name,
        graph.tensors[inner].name + b"_stored",
    )
    graph.operators.insert(0, _operator(schema, model, _QUANTIZE, inner=fresh, outer=inner))
    graph.inputs = [fresh]
    _sign(model, "inputs", fresh)


def _output(schema: Any, model: Any, graph: Any) -> None:  # noqa: ANN401
    (outer,) = graph.outputs
    inner = outer
    last = [o for o in graph.operators if outer in o.outputs]
    if last and _code(model, last[0]) == _QUANTIZE:
        (inner,) = last[0].inputs
        graph.operators.remove(last[0])
    if graph.tensors[inner].type == _FLOAT32:
        graph.outputs = [inner]
    else:
        fresh = _tensor(schema, graph, like=inner, border="real")
        graph.tensors[fresh].name, graph.tensors[inner].name = (
            graph.tensors[outer].name,
            graph.tensors[inner].name + b"_stored",
        )
        graph.operators.append(_operator(schema, model, _DEQUANTIZE, inner=inner, outer=fresh))
        graph.outputs = [fresh]
    _sign(model, "outputs", graph.outputs[0])


def _tensor(schema: Any, graph: Any, *, like: int, border: Border) -> int:  # noqa: ANN401
    found, fresh = graph.tensors[like], schema.TensorT()
    fresh.shape, fresh.hasRank = found.shape, True
    fresh.buffer = 0
    if border == "real":
        fresh.type = _FLOAT32
    else:
        fresh.type = _UINT8
        fresh.quantization = schema.QuantizationParametersT()
        fresh.quantization.scale = [border.scale]
        fresh.quantization.zeroPoint = [border.zero_point]
    graph.tensors.append(fresh)
    return len(graph.tensors) - 1


def _operator(schema: Any, model: Any, code: int, *, inner: int, outer: int) -> Any:  # noqa: ANN401
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [inner], [outer]
    operator.opcodeIndex = _opcode(schema, model, code)
    return operator


def _opcode(schema: Any, model: Any, code: int) -> int:  # noqa: ANN401
    for k, known in enumerate(model.operatorCodes):
        if max(known.builtinCode, known.deprecatedBuiltinCode) == code:
            known.version = max(known.version, _VERSIONS[code])
            return k
    fresh = schema.OperatorCodeT()
    fresh.builtinCode, fresh.deprecatedBuiltinCode = code, min(code, _NARROW)
    fresh.version = _VERSIONS[code]
    model.operatorCodes.append(fresh)
    return len(model.operatorCodes) - 1


def _code(model: Any, operator: Any) -> int:  # noqa: ANN401
    found = model.operatorCodes[operator.opcodeIndex]
    return int(max(found.builtinCode, found.deprecatedBuiltinCode))


def _sign(model: Any, side: Literal["inputs", "outputs"], tensor: int) -> None:  # noqa: ANN401
    for signature in model.signatureDefs or []:
        for named in getattr(signature, side) or []:
            named.tensorIndex = tensor


def _embed(schema: Any, model: Any, metadata: bytes) -> None:  # noqa: ANN401
    from littoral_converter.targets.tflite_metadata import NAME

    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(metadata)
    model.buffers.append(buffer)
    entry.name, entry.buffer = NAME, len(model.buffers) - 1
    model.metadata = [one for one in model.metadata or [] if one.name != NAME] + [entry]
