"""What an Edge TPU takes: one row for each operator, with the limits that are known of it.

The rows are what the compiler's makers publish of version 16, and what files that it compiled
show; where the two differ the files are right (it maps TILE, which is listed nowhere). The
compiler looks at more than is known: what passes here may still be left on the processor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Final

from littoral_converter.graph import Operator, Subgraph, Tensor

_NARROW: Final = {"int8", "uint8"}
_INNER: Final = 3  # so many innermost dimensions may be larger than 1
_SOFTMAX: Final = 16_000
_UPSCALE: Final = 8  # 2 is mapped and 33 is not; between them nobody has told
_MEAN: Final = 32_768  # positions: of so many a MEAN was left, of a quarter it was mapped
_DEPTHS: Final = 4  # a reduction over channels takes a multiple of these


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An operator with what it takes and gives; None where an optional input is left out."""

    operator: Operator
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, operator: Operator, graph: Subgraph) -> "Seen":
        held = graph.tensors
        return cls(
            operator,
            tuple(held[k] if k >= 0 else None for k in operator.inputs),
            tuple(held[k] for k in operator.outputs if k >= 0),
        )

    @property
    def moving(self) -> tuple[Tensor, ...]:
        """Return the tensors that are not constant: what passes through the operator."""
        return tuple(t for t in (*self.inputs, *self.outputs) if t is not None and not t.constant)

    def given(self, k: int) -> Tensor | None:
        return self.inputs[k] if k < len(self.inputs) else None

    def numbers(self, k: int) -> list[int] | None:
        """Return the constant whole numbers of input ``k``; None where they are not constant."""
        tensor = self.given(k)
        if tensor is None or tensor.data is None or tensor.dtype not in {"int32", "int64"}:
            return None
        width = 4 if tensor.dtype == "int32" else 8
        raw = tensor.data.tobytes()
        return [
            int.from_bytes(raw[at : at + width], "little", signed=True)
            for at in range(0, len(raw), width)
        ]


Rule = Callable[[Seen], str | None]


def why_not(operator: Operator, graph: Subgraph) -> str | None:
    """Return why an Edge TPU does not take ``operator`` of ``graph``, None if nothing is known."""
    name = operator.name
    if operator.custom:
        return "a custom operator, which only the library that brings it can run"
    if name not in _TAKEN:
        instead = _INSTEAD.get(name)
        return "an Edge TPU has no such operator" + (f": {instead}" if instead else "")
    seen = Seen.of(operator, graph)
    for rule in (_computed_shape, _types, _fixed, _rank, _version, *_TAKEN[name]):
        found = rule(seen)
        if found is not None:
            return found
    return None


def _computed_shape(seen: Seen) -> str | None:
    shape = seen.given(1) if seen.operator.name == "RESHAPE" else None
    if shape is not None and not shape.constant:
        return "its shape is computed, and the compiler refuses such a model: fix the input's shape"
    return None


def _types(seen: Seen) -> str | None:
    wide = seen.operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"  # its state has 16 bits
    good = _NARROW | {"int16"} if wide else _NARROW
    bad = sorted({t.dtype for t in seen.moving} - good)
    if bad:
        quantize = "" if bad != ["float32"] else "; quantize the model fully"
        return f"it works on {' and '.join(bad)}, and an Edge TPU on 8-bit integers alone{quantize}"
    if any(not t.scales for t in seen.moving):
        return "its tensors are 8-bit integers without a scale: not quantized"
    return None


def _fixed(seen: Seen) -> str | None:
    if any(t.open for t in seen.moving):
        return "a dimension of it is open: pin the input's shape"
    return None


def _rank(seen: Seen) -> str | None:
    for tensor in seen.moving:
        if any(n > 1 for n in tensor.shape[:-_INNER]):
            return (
                f"its tensor is {list(tensor.shape)}; only the three innermost dimensions may be "
                "larger than 1 (the batch is 1)"
            )
    return None


def _version(seen: Seen) -> str | None:
    known = _VERSIONS.get(seen.operator.name)
    if known is None or seen.operator.version <= known:
        return None
    return f"version {seen.operator.version} of it; the compiler knows {known} and below"


def _no_activation(seen: Seen) -> str | None:
    options = seen.operator.options
    if options is not None and options.FusedActivationFunction():
        return "an activation is fused into it; make that a layer of its own"
    return None


def _constant_weights(seen: Seen) -> str | None:
    weights = seen.given(1)
    if weights is None or not weights.constant:
        return "its weights are computed, and must be constant"
    return None


def _square_dilation(seen: Seen) -> str | None:
    options = seen.operator.options
    if options is not None and options.DilationWFactor() != options.DilationHFactor():
        return "its dilation differs in x and y"
    return None


def _dense(seen: Seen) -> str | None:
    weights, options = seen.given(1), seen.operator.options
    if options is not None and options.WeightsFormat():
        return "its weights are shuffled: only the default order is known"
    if weights is not None and len(weights.scales) > 1:
        return "its weights have a scale for each channel; quantize dense layers per tensor"
    if any(prod(t.shape[:-1]) > 1 for t in seen.outputs):
        return f"its output is {list(seen.outputs[0].shape)}; one dimension may be larger than 1"
    return None


def _padding_only(seen: Seen) -> str | None:
    constants = [t for t in seen.inputs if t is not None and t.constant]
    if not constants:
        return None
    if len(seen.inputs) != 2:  # noqa: PLR2004 (what is padded, and the zeros)
        return "it joins a constant with more than one other input"
    zero = (*constants[0].zero_points, 0)[0]
    data = constants[0].data
    if data is not None and (data != zero % 256).any():
        return "it joins a constant that is not all zeros"
    return None


def _softmax(seen: Seen) -> str | None:
    shape = seen.outputs[0].shape if seen.outputs else ()
    if prod(shape[:-1]) > 1:
        return f"its input is {list(shape)}; one dimension may be larger than 1"
    if shape and shape[-1] > _SOFTMAX:
        return f"it is over {shape[-1]:,} elements; {_SOFTMAX:,} are the most"
    return None


def _axes(seen: Seen, axes: list[int] | None) -> str | None:
    source = seen.given(0)
    if axes is None or source is None:
        return "its axes are computed, and must be constant"
    rank = len(source.shape)
    if rank > _INNER and any(a % rank == 0 for a in axes):
        return "it works across the batch"
    return None


def _reduced(seen: Seen) -> str | None:
    return _axes(seen, seen.numbers(1))


def _mean(seen: Seen) -> str | None:
    axes, source = seen.numbers(1), seen.given(0)
    if axes is None or source is None:
        return "its axes are computed, and must be constant"
    rank = len(source.shape)
    taken = {a % rank for a in axes} if rank else set()
    if rank - 1 in taken and source.shape[-1] % _DEPTHS:
        return f"it is over {source.shape[-1]} channels, which is no multiple of {_DEPTHS}"
    if prod(source.shape[a] for a in taken) >= _MEAN:
        return f"it is over {prod(source.shape[a] for a in taken):,} positions, which are too many"
    return _axes(seen, axes)


def _packed(seen: Seen) -> str | None:
    options = seen.operator.options
    if options is not None and options.Axis() == 0:
        return "it works across the batch"
    return None


def _padded(seen: Seen) -> str | None:
    sizes = seen.numbers(1)
    if sizes is None:
        return "how much it pads is computed, and must be constant"
    source = seen.given(0)
    if source is not None and len(source.shape) > _INNER and any(sizes[:2]):
        return "it pads the batch"
    return None


def _split(seen: Seen) -> str | None:
    axes, source = seen.numbers(0), seen.given(1)
    if axes is None or source is None:
        return "its axis is computed, and must be constant"
    if len(source.shape) > _INNER and axes[0] % len(source.shape) == 0:
        return "it works across the batch"
    return None


def _alpha(seen: Seen) -> str | None:
    alpha = seen.given(1)
    if alpha is not None and prod(alpha.shape[:-1]) > 1:
        return "its slope differs from place to place; share it across all but the channels"
    return None


def _resized(seen: Seen) -> str | None:
    source = seen.given(0)
    if source is None or not seen.outputs or len(source.shape) != len(seen.outputs[0].shape):
        return None
    grown = max(b / a for a, b in zip(source.shape, seen.outputs[0].shape, strict=True) if a)
    if grown > _UPSCALE:
        return f"it enlarges {grown:.3g} times, which would cost precision"
    return None


def _unit_strides(seen: Seen) -> str | None:
    strides, options = seen.numbers(3), seen.operator.options
    if strides is None or any(n != 1 for n in strides):
        return "its strides are not all 1"
    if options is not None and (options.EllipsisMask() or options.NewAxisMask()):
        return "it uses an ellipsis or a new axis"
    return None


_TAKEN: Final[dict[str, tuple[Rule, ...]]] = {
    "ADD": (),
    "AVERAGE_POOL_2D": (_no_activation,),
    "CONCATENATION": (_no_activation, _padding_only),
    "CONV_2D": (_constant_weights, _square_dilation),
    "DEPTHWISE_CONV_2D": (_constant_weights,),
    "EXPAND_DIMS": (),
    "FULLY_CONNECTED": (_constant_weights, _dense),
    "L2_NORMALIZATION": (),
    "LOGISTIC": (),
    "MAXIMUM": (),
    "MAX_POOL_2D": (_no_activation,),
    "MEAN": (_mean,),
    "MINIMUM": (),
    "MUL": (),
    "PACK": (_packed,),
    "PAD": (_padded,),
    "PRELU": (_alpha,),
    "QUANTIZE": (),
    "REDUCE_MAX": (_reduced,),
    "REDUCE_MIN": (_reduced,),
    "RELU": (),
    "RELU6": (),
    "RELU_N1_TO_1": (),
    "RESHAPE": (),
    "RESIZE_BILINEAR": (_resized,),
    "RESIZE_NEAREST_NEIGHBOR": (_resized,),
    "RSQRT": (),
    "SLICE": (),
    "SOFTMAX": (_softmax,),
    "SPACE_TO_DEPTH": (),
    "SPLIT": (_split,),
    "SQUARED_DIFFERENCE": (),
    "SQUEEZE": (),
    "STRIDED_SLICE": (_unit_strides,),
    "SUB": (),
    "SUM": (_reduced,),
    "TANH": (),
    "TILE": (),
    "TRANSPOSE": (),
    "TRANSPOSE_CONV": (_constant_weights,),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (),
}
_VERSIONS: Final = {  # what is known to be refused begins behind these
    "FULLY_CONNECTED": 11,  # 12 has a scale for each channel
    "RESIZE_NEAREST_NEIGHBOR": 2,
}
_INSTEAD: Final = {  # what a person can do about an operator that it does not have
    "ARG_MAX": "let the model end before it, and choose the largest in the program",
    "BATCH_MATMUL": "it takes products with constant weights alone",
    "CAST": "give the model integers, and let it end with them",
    "DEQUANTIZE": "let the model's outputs be int8 or uint8",
    "DIV": "multiply by a constant instead",
    "ELU": "use relu or relu6",
    "GELU": "use relu or relu6",
    "HARD_SWISH": "use relu6",
    "LEAKY_RELU": "use relu, or prelu with one slope a channel",
    "MIRROR_PAD": "pad with zeros",
    "PADV2": "pad with zeros",
    "SELECT": "",
    "WHILE": "unroll the loop (unroll=True in Keras)",
}
