"""The limits of an Edge TPU, each a function: why an operator is left, None where it keeps it."""

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


_VERSIONS: Final = {  # what is known to be refused begins behind these
    "FULLY_CONNECTED": 11,  # 12 takes floats and has a scale for each channel
    "RESIZE_NEAREST_NEIGHBOR": 2,
}


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


def computed_shape(seen: Seen) -> str | None:
    shape = seen.given(1) if seen.operator.name == "RESHAPE" else None
    if shape is not None and not shape.constant:
        return "its shape is computed, and the compiler refuses such a model: fix the input's shape"
    return None


def types(seen: Seen) -> str | None:
    wide = seen.operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"  # its state has 16 bits
    good = _NARROW | {"int16"} if wide else _NARROW
    bad = sorted({t.dtype for t in seen.moving} - good)
    if bad:
        quantize = "" if bad != ["float32"] else "; quantize the model fully"
        return f"it works on {' and '.join(bad)}, and an Edge TPU on 8-bit integers alone{quantize}"
    if any(not t.scales for t in seen.moving):
        return "its tensors are 8-bit integers without a scale: not quantized"
    return None


def fixed(seen: Seen) -> str | None:
    if any(t.open for t in seen.moving):
        return "a dimension of it is open: pin the input's shape"
    return None


def rank(seen: Seen) -> str | None:
    for tensor in seen.moving:
        if any(n > 1 for n in tensor.shape[:-_INNER]):
            return (
                f"its tensor is {list(tensor.shape)}; only the three innermost dimensions may be "
                "larger than 1 (the batch is 1)"
            )
    return None


def version(seen: Seen) -> str | None:
    known = _VERSIONS.get(seen.operator.name)
    if known is None or seen.operator.version <= known:
        return None
    return f"version {seen.operator.version} of it; the compiler knows {known} and below"


def no_activation(seen: Seen) -> str | None:
    if seen.operator.options.get("FusedActivationFunction"):
        return "an activation is fused into it; make that a layer of its own"
    return None


def constant_weights(seen: Seen) -> str | None:
    weights = seen.given(1)
    if weights is None or not weights.constant:
        return "its weights are computed, and must be constant"
    return None


def square_dilation(seen: Seen) -> str | None:
    options = seen.operator.options
    if options.get("DilationWFactor") != options.get("DilationHFactor"):
        return "its dilation differs in x and y"
    return None


def dense(seen: Seen) -> str | None:
    weights, options = seen.given(1), seen.operator.options
    if options.get("WeightsFormat"):
        return "its weights are shuffled: only the default order is known"
    if weights is not None and len(weights.scales) > 1:
        return "its weights have a scale for each channel; quantize dense layers per tensor"
    if any(prod(t.shape[:-1]) > 1 for t in seen.outputs):
        return f"its output is {list(seen.outputs[0].shape)}; one dimension may be larger than 1"
    return None


def padding_only(seen: Seen) -> str | None:
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


def softmax(seen: Seen) -> str | None:
    shape = seen.outputs[0].shape if seen.outputs else ()
    if prod(shape[:-1]) > 1:
        return f"its input is {list(shape)}; one dimension may be larger than 1"
    if shape and shape[-1] > _SOFTMAX:
        return f"it is over {shape[-1]:,} elements; {_SOFTMAX:,} are the most"
    return None


def across(seen: Seen, axes: list[int] | None) -> str | None:
    source = seen.given(0)
    if axes is None or source is None:
        return "its axes are computed, and must be constant"
    rank = len(source.shape)
    if rank > _INNER and any(a % rank == 0 for a in axes):
        return "it works across the batch"
    return None


def reduced(seen: Seen) -> str | None:
    return across(seen, seen.numbers(1))


def mean(seen: Seen) -> str | None:
    axes, source = seen.numbers(1), seen.given(0)
    if axes is None or source is None:
        return "its axes are computed, and must be constant"
    rank = len(source.shape)
    taken = {a % rank for a in axes} if rank else set()
    if rank - 1 in taken and source.shape[-1] % _DEPTHS:
        return f"it is over {source.shape[-1]} channels, which is no multiple of {_DEPTHS}"
    if prod(source.shape[a] for a in taken) >= _MEAN:
        return f"it is over {prod(source.shape[a] for a in taken):,} positions, which are too many"
    return across(seen, axes)


def packed(seen: Seen) -> str | None:
    if seen.operator.options.get("Axis") == 0:
        return "it works across the batch"
    return None


def padded(seen: Seen) -> str | None:
    sizes = seen.numbers(1)
    if sizes is None:
        return "how much it pads is computed, and must be constant"
    source = seen.given(0)
    if source is not None and len(source.shape) > _INNER and any(sizes[:2]):
        return "it pads the batch"
    return None


def split(seen: Seen) -> str | None:
    axes, source = seen.numbers(0), seen.given(1)
    if axes is None or source is None:
        return "its axis is computed, and must be constant"
    if len(source.shape) > _INNER and any(a % len(source.shape) == 0 for a in axes):
        return "it works across the batch"
    return None


def alpha(seen: Seen) -> str | None:
    alpha = seen.given(1)
    if alpha is not None and prod(alpha.shape[:-1]) > 1:
        return "its slope differs from place to place; share it across all but the channels"
    return None


def resized(seen: Seen) -> str | None:
    source = seen.given(0)
    if source is None or not seen.outputs or len(source.shape) != len(seen.outputs[0].shape):
        return None
    grown = max(b / a for a, b in zip(source.shape, seen.outputs[0].shape, strict=True) if a)
    if grown > _UPSCALE:
        return f"it enlarges {grown:.3g} times, which would cost precision"
    return None


def unit_strides(seen: Seen) -> str | None:
    strides, options = seen.numbers(3), seen.operator.options
    if strides is None or any(n != 1 for n in strides):
        return "its strides are not all 1"
    if options.get("EllipsisMask") or options.get("NewAxisMask"):
        return "it uses an ellipsis or a new axis"
    return None
