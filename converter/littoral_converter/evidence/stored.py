"""How a model's weights are stored: which numbers, how often. Reads the file, runs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from littoral_converter.graph import Graph

BINS: Final = 32
_MOST: Final = 400  # tensors that are told of
_STORED: Final = {"int8": "i1", "int16": "<i2", "float16": "<f2", "float32": "<f4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One constant of the model, as it is stored."""

    name: str
    operator: str
    shape: tuple[int, ...]
    dtype: str
    zeros: float  # part of them
    distinct: int
    scales: float | None  # the largest channel's scale over the smallest's
    low: float
    high: float
    counts: tuple[int, ...]


def weights(found: Graph) -> Iterator[Weights]:
    """Walk what its operators compute with, each once; biases are left out."""
    main, seen = found.main, set[int]()
    for operator in main.operators:
        for k in operator.inputs:
            tensor = main.tensors[k] if k >= 0 else None
            if tensor is None or tensor.data is None or k in seen or len(seen) >= _MOST:
                continue
            if tensor.dtype not in _STORED or len(tensor.shape) < 2:  # noqa: PLR2004 (biases)
                continue
            seen.add(k)
            values = tensor.data.view(np.dtype(_STORED[tensor.dtype])).astype(np.float64)
            ends = float(values.min()), float(values.max())
            edges = (-128.0, 128.0) if tensor.dtype == "int8" else ends
            scales = np.array(tensor.scales) if len(tensor.scales) > 1 else None
            yield Weights(
                name=tensor.name,
                operator=operator.name,
                shape=tensor.shape,
                dtype=tensor.dtype,
                zeros=float((values == 0).mean()),
                distinct=len(np.unique(values)),
                scales=None if scales is None else float(scales.max() / scales.min()),
                low=edges[0],
                high=edges[1],
                counts=tuple(int(n) for n in np.histogram(values, BINS, edges)[0]),
            )
