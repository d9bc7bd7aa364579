"""Which weights of a Keras model can be compressed, and which of them belong together.

Takes models of Keras 3 and of tf-keras; refuses to know what becomes of the weights.
"""

import fnmatch
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MisuseError

Floats = NDArray[np.float32]

_RANK: Final = 2
_NAMES: Final = ("kernel", "embedding")  # biases and scales are few, and each of them matters
_GATES: Final = {"LSTMCell": 4, "GRUCell": 3, "SimpleRNNCell": 1}
_TURNED: Final = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")  # [.., outputs, inputs]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """One array of weights. ``outputs`` are the axes that nothing is summed over."""

    name: str
    layer: str  # as people named it
    variable: Any  # a tf.Variable
    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    gates: int = 0  # of a recurrent cell: so many scales, for runtimes know one a gate
    each_input: bool = False  # a depthwise kernel: few weights, and nothing sums over channels

    @property
    def order(self) -> tuple[int, ...]:
        """Return the axes with the outputs last."""
        summed = tuple(axis for axis in range(len(self.shape)) if axis not in self.outputs)
        return summed + self.outputs

    @property
    def width(self) -> int:
        return math.prod(self.shape[axis] for axis in self.outputs)

    def matrix(self, values: Floats) -> Floats:
        """Return ``values`` as [inputs, outputs]."""
        return values.transpose(self.order).reshape(-1, self.width)

    def as_kernel(self, matrix: Floats) -> Floats:
        """Return what ``matrix`` was made of."""
        turned = matrix.reshape([self.shape[axis] for axis in self.order])
        return np.ascontiguousarray(turned.transpose(np.argsort(self.order)))


def find(model: Any) -> tuple[Kernel, ...]:  # noqa: ANN401
    """Return all weights of ``model`` that can be compressed.

    Raises:
        ConversionError: There are none that can be trained.

    """
    found: dict[str, Kernel] = {}
    seen: set[int] = set()
    for layer, name in _layers(model, ""):
        for held in _own(layer):
            raw = value_of(held)
            path = f"{name}/{_last(held)}"
            if id(raw) not in seen and _compressible(raw, path):
                seen.add(id(raw))
                found[path] = _kernel(layer, path, name, raw)
    if not found:
        raise ConversionError(
            "the model has no weights that can be trained, so nothing to compress"
        )
    return tuple(found.values())


def value_of(held: Any) -> Any:  # noqa: ANN401
    """Return the TensorFlow variable of a Keras 3 variable; tf-keras's are such."""
    return held if callable(held.value) else held.value


def chosen(
    kernels: tuple[Kernel, ...], layers: tuple[str, ...], skip: tuple[str, ...], *, step: str
) -> tuple[Kernel, ...]:
    """Return the kernels of the layers that a step is for.

    Depthwise kernels only if ``layers`` names them, unless the step is ``qat``.

    Raises:
        MisuseError: A name is no layer's, or nothing is left.

    """
    names = sorted({kernel.layer for kernel in kernels})
    for pattern in (*layers, *skip):
        if not any(_any(name, (pattern,)) for name in names):
            raise MisuseError(
                f"compress, {step}: no layer {pattern!r} with weights; there are: "
                f"{', '.join(names)}"
            )
    found = tuple(
        kernel
        for kernel in kernels
        if not _any(kernel.layer, skip)
        and (_any(kernel.layer, layers) if layers else step == "qat" or not kernel.each_input)
    )
    if not found:
        raise MisuseError(f"compress, {step}: no layer is left; there are: {', '.join(names)}")
    return found


def matrices(kernels: tuple[Kernel, ...]) -> dict[str, Floats]:
    """Return the weights as they are now, by name, as [inputs, outputs]."""
    return {kernel.name: kernel.matrix(kernel.variable.numpy()) for kernel in kernels}


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a pattern is for the layer, or for one that it is in."""
    parts = name.split("/")
    whole = ["/".join(parts[: k + 1]) for k in range(len(parts))]
    return any(fnmatch.fnmatchcase(n, p) for p in patterns for n in (*whole, *parts))


def _compressible(raw: Any, path: str) -> bool:  # noqa: ANN401
    named = any(name in path.rsplit("/", 1)[-1] for name in _NAMES)
    return named and len(raw.shape) >= _RANK and "float" in raw.dtype.name


def _layers(layer: Any, above: str) -> Iterator[tuple[Any, str]]:  # noqa: ANN401
    """Walk what holds weights of its own, each with the name of the layer that people know.

    What a layer is made of (a cell, an attention's projections) goes by the layer's name and its
    own.
    """
    inner = getattr(layer, "_layers", None)
    if inner is None:
        inner = list(layer._flatten_layers(include_self=False, recursive=False))  # noqa: SLF001
    for below in inner:
        name = f"{above}/{below.name}" if above else below.name
        yield below, name
        yield from _layers(below, name)


def _own(layer: Any) -> list[Any]:  # noqa: ANN401
    held = getattr(layer, "_trainable_variables", None)  # Keras 3
    if held is None:
        held = layer._trainable_weights  # noqa: SLF001
    return [v for v in held if layer.trainable and getattr(v, "trainable", True)]


def _last(held: Any) -> str:  # noqa: ANN401
    path = getattr(held, "path", None) or held.name
    return str(path).rsplit("/", 1)[-1].removesuffix(":0")


def _kernel(layer: Any, path: str, name: str, raw: Any) -> Kernel:  # noqa: ANN401
    shape = tuple(int(n) for n in raw.shape)
    kind = type(layer).__name__
    last = len(shape) - 1
    outputs: tuple[int, ...] = (last,)
    each_input = path.endswith("depthwise_kernel") or kind.startswith("Depthwise")
    if each_input:
        outputs = (last - 1, last)
    elif kind in _TURNED:
        outputs = (last - 1,)
    elif kind == "EinsumDense":
        outputs = _einsum(layer.equation, len(shape)) or outputs
    return Kernel(
        name=path,
        layer=name,
        variable=raw,
        shape=shape,
        outputs=outputs,
        gates=_GATES.get(kind, 0),
        each_input=each_input,
    )


def _einsum(equation: str, rank: int) -> tuple[int, ...]:
    """Return the weights' axes that the answer has too: ``abc,cde->abde`` sums over the first."""
    given, _, answer = equation.replace(" ", "").partition("->")
    letters = given.split(",")[1].replace(".", "")
    if len(letters) != rank:
        return ()
    return tuple(axis for axis, letter in enumerate(letters) if letter in answer)
