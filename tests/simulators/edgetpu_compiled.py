"""What edgetpu_compiler would make of a model, as far as anybody looks at it on a host.

The operators that are mapped become one ``edgetpu-custom-op``, which bears a package as the
compiler's does: a FlexBuffer map, in it a FlatBuffer that says DWN1, in it the executables.
Nothing in it could run on an Edge TPU.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY = range(3)


@dataclass(frozen=True)
class Package:
    runtime: int = 14
    cached: int = 2048
    streamed: int = 0
    token: int = 0x1234
    compiler: str = "simulated"

    def to_bytes(self) -> bytes:
        held = []
        if self.cached:
            held.append(_executable(PARAMETER_CACHING, self.cached, self.token))
        held.append(_executable(EXECUTION_ONLY, self.streamed, self.token))
        builder = flatbuffers.Builder()
        strings = [builder.CreateString(data) for data in held]
        builder.StartVector(4, len(strings), 4)
        for one in reversed(strings):
            builder.PrependUOffsetTRelative(one)
        listed = builder.EndVector()
        executables = _finished(builder, {0: listed}, b"")
        outer = flatbuffers.Builder()
        compiler, inner = outer.CreateString(self.compiler), outer.CreateByteVector(executables)
        outer.StartObject(8)
        outer.PrependInt32Slot(0, self.runtime, 0)
        outer.PrependUOffsetTRelativeSlot(1, inner, 0)
        outer.PrependUOffsetTRelativeSlot(4, compiler, 0)
        outer.Finish(outer.EndObject(), b"DWN1")
        return bytes(outer.Output())

    def options(self) -> bytes:
        """Return it as the operator's custom options."""
        builder: Any = flexbuffers.Builder()
        with builder.Map():
            builder.Key("1")
            builder.Int(0)
            builder.Key("4")
            # A string by its type, and no text: the builder makes none of it by itself.
            builder._WriteBlob(self.to_bytes(), append_zero=True, type_=flexbuffers.Type.STRING)
        return bytes(builder.Finish())


def _executable(kind: int, parameters: int, token: int) -> bytes:
    builder = flatbuffers.Builder()
    data, chip = builder.CreateByteVector(bytes(parameters)), builder.CreateString("beagle")
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(6, data, 0)
    builder.PrependUOffsetTRelativeSlot(10, chip, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.PrependUint64Slot(14, token, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _finished(builder: flatbuffers.Builder, offsets: dict[int, int], mark: bytes) -> bytes:
    builder.StartObject(max(offsets) + 1)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    builder.Finish(builder.EndObject(), mark or None)
    return bytes(builder.Output())


def compiled(model: bytes, *, left: Collection[int] = (), package: Package | None = None) -> bytes:
    """Return ``model`` with all operators but ``left``, by their place, as one for an Edge TPU."""
    made = schema.ModelT.InitFromPackedBuf(model, 0)
    (graph,) = made.subgraphs
    kept = [graph.operators[k] for k in sorted(left)]
    mapped = [o for k, o in enumerate(graph.operators) if k not in left]
    inside = {int(k) for o in mapped for k in o.outputs}
    wanted = {int(k) for o in kept for k in o.inputs} | {int(k) for k in graph.outputs}
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = "edgetpu-custom-op", 1
    made.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(made.operatorCodes) - 1
    operator.inputs, operator.outputs = list(graph.inputs), sorted(inside & wanted)
    operator.customOptions = list((package or Package()).options())
    graph.operators = [operator, *kept]
    return packed(made)


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
