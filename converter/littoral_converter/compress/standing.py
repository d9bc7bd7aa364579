"""Where a model's weights stand: how many are 0, how many differ, how large they are.

Pruned and clustered weights take as much room as before in a model's file: only what packs the
file afterwards makes less of them. So sizes are told plain and packed (zstd).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from littoral_converter.compress.hold import STEPS
from littoral_converter.compress.lessons import Score

Floats = NDArray[np.float32]

_LEVEL: Final = 12
_LEAST: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One array of weights."""

    name: str
    weights: int
    sparsity: float  # fraction that is 0
    unique: int  # different values, 0 among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of all weights that can be compressed: kernels and embeddings, no biases."""

    score: Score
    weights: int
    sparsity: float
    unique: int  # the most that one array holds
    bytes: int  # as floats
    zstd_bytes: int  # the same, packed
    int8_bytes: int  # rounded, each output by its largest weight
    int8_zstd_bytes: int


def layers(weights: Mapping[str, Floats]) -> tuple[Layer, ...]:
    """Return figures of each array of ``weights``."""
    return tuple(
        Layer(
            name=name,
            weights=w.size,
            sparsity=float((w == 0).mean()),
            unique=len(np.unique(w)),
        )
        for name, w in weights.items()
    )


def stand(weights: Mapping[str, Floats], score: Score) -> Standing:
    """Return where ``weights``, as [inputs, outputs], stand."""
    each = layers(weights)
    floats = b"".join(np.ascontiguousarray(w.T).tobytes() for w in weights.values())
    codes = b"".join(_codes(w).tobytes() for w in weights.values())
    total = sum(layer.weights for layer in each)
    return Standing(
        score=score,
        weights=total,
        sparsity=sum(layer.sparsity * layer.weights for layer in each) / total,
        unique=max(layer.unique for layer in each),
        bytes=len(floats),
        zstd_bytes=packed(floats),
        int8_bytes=len(codes),
        int8_zstd_bytes=packed(codes),
    )


def packed(data: bytes) -> int:
    """Return the size of ``data`` after zstd."""
    return len(zstandard.ZstdCompressor(level=_LEVEL).compress(data))


def _codes(weights: Floats) -> NDArray[np.int8]:
    scale = np.maximum(np.abs(weights).max(axis=0) / STEPS, _LEAST)
    return np.ascontiguousarray(np.round(weights / scale).astype(np.int8).T)
