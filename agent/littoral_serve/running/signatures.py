"""A model's tensors as clients see them: as floats, as they are stored, or as is usual.

By default an int8 tensor is seen as float, and quantized at this border; a uint8 one, which is
mostly a picture, as it is. Both views are always there, as signatures ``float`` and ``raw``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from littoral.bundle.manifest import Tensor
from littoral.model import tensors
from littoral.model.backends import Array

DEFAULT: Final = "serving_default"


@dataclass(frozen=True)
class View:
    """One tensor as this signature shows it; ``real``: as float32."""

    spec: Tensor
    real: bool

    @cached_property
    def name(self) -> str:
        return self.spec.name

    @cached_property
    def dtype(self) -> str:
        return "float32" if self.real else self.spec.dtype

    @cached_property
    def instance(self) -> tuple[int, ...]:
        """Return the shape of one element of a batch."""
        return self.spec.shape[1:]

    def shape(self, batch: int | None) -> tuple[int, ...]:
        """Return what clients are told: -1 where any number of instances may come.

        ``batch`` is the release's, None where it takes as many as it has.
        """
        known = self.spec.shape
        return known if batch is None else (-1, *known[1:])

    def stored(self, seen: Array) -> Array:
        """Return what the model is given for ``seen``. Raises ValueError for a NaN."""
        return tensors.quantize(seen, self.spec) if self.real else seen

    def seen(self, stored: Array) -> Array:
        return tensors.dequantize(stored, self.spec) if self.real else stored


@dataclass(frozen=True)
class Signature:
    """One way in which clients see a model."""

    name: str
    inputs: tuple[View, ...]
    outputs: tuple[View, ...]

    @cached_property
    def takes_stored(self) -> bool:
        """Return whether all inputs are seen as the model stores them."""
        return not any(view.real for view in self.inputs)

    @cached_property
    def gives_stored(self) -> bool:
        """Return whether all outputs are seen as the model stores them."""
        return not any(view.real for view in self.outputs)


def signatures(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Mapping[str, Signature]:
    """Return the signatures of a model by name."""

    def make(name: str, *, real: tuple[str, ...]) -> Signature:
        ins, outs = (
            tuple(View(spec, _real(spec, real)) for spec in specs) for specs in (inputs, outputs)
        )
        return Signature(name, ins, outs)

    return {
        DEFAULT: make(DEFAULT, real=("int8", "int16", "float16")),
        "float": make("float", real=("int8", "int16", "uint8", "float16")),
        "raw": make("raw", real=()),
    }


def batch_size(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int | None:
    """Return the first dimension that all tensors share; None where they share none."""
    first = {spec.shape[0] if spec.shape else None for spec in (*inputs, *outputs)}
    return first.pop() if len(first) == 1 else None


def _real(spec: Tensor, dtypes: tuple[str, ...]) -> bool:
    return spec.dtype in dtypes and (spec.dtype == "float16" or tensors.is_quantized(spec))
