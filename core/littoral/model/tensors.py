"""The border between real values and what a model stores. One definition, for all rooms.

``stored = clip(round(real / scale) + zero_point)``, in float32, halves rounded to even;
``real = scale * (stored - zero_point)``. The converter's figures and serve's answers agree to
the last sample because both come through here.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from littoral.bundle.manifest import Tensor
from littoral.model.backends.base import Array

_LIMITS: Final = {
    name: (np.float32(np.iinfo(name).min), np.float32(np.iinfo(name).max))
    for name in ("int8", "uint8", "int16")
}


def is_quantized(spec: Tensor) -> bool:
    """Tell whether ``spec`` stores real values as small integers."""
    return spec.scale != 0 and spec.dtype in _LIMITS


def ends(spec: Tensor) -> tuple[float, float]:
    """Return the least and the greatest real value that a quantized ``spec`` can store."""
    limits = np.iinfo(spec.dtype)
    low, high = (spec.scale * (int(end) - spec.zero_point) for end in (limits.min, limits.max))
    return (low, high)


def quantize(real: ArrayLike, spec: Tensor) -> Array:
    """Return ``real`` as ``spec`` stores it; what lies beyond its range becomes its end.

    Raises:
        ValueError: There is a NaN, which no integer stands for.

    """
    value = np.asarray(real, np.float32)
    if not is_quantized(spec):
        return value.astype(spec.dtype, copy=False)
    if np.isnan(value.min(initial=0)):
        raise ValueError(f"{spec.name}: NaN cannot be stored as {spec.dtype}")
    with np.errstate(over="ignore"):
        stored = np.asarray(value / np.float32(spec.scale))
    np.rint(stored, out=stored)
    stored += np.float32(spec.zero_point)
    lowest, highest = _LIMITS[spec.dtype]
    np.maximum(stored, lowest, out=stored)
    np.minimum(stored, highest, out=stored)
    return stored.astype(spec.dtype)


def dequantize(stored: Array, spec: Tensor) -> Array:
    """Return the real values that ``stored`` stands for, as float32."""
    value = stored.astype(np.float32)
    if is_quantized(spec):
        value -= np.float32(spec.zero_point)
        value *= np.float32(spec.scale)
    return value


def check(value: Array, spec: Tensor) -> None:
    """Do nothing if ``value`` has the dtype and shape of ``spec``.

    Raises:
        ValueError: It has not; says what was expected and what was found.

    """
    if value.dtype != spec.dtype or value.shape != spec.shape:
        raise ValueError(
            f"{spec.name}: expected {spec.dtype} {list(spec.shape)}, "
            f"found {value.dtype} {list(value.shape)}"
        )


def check_all(values: Sequence[Array], specs: Sequence[Tensor]) -> None:
    """Do nothing if ``values`` are as many as ``specs``, each as its spec says.

    Raises:
        ValueError: They are not.

    """
    if len(values) != len(specs):
        raise ValueError(f"expected {len(specs)} tensors, found {len(values)}")
    for value, spec in zip(values, specs, strict=True):
        check(value, spec)
