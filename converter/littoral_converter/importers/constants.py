"""What a program is made of, told from its file where no framework says it."""

from collections import Counter

import numpy as np

from littoral_converter import graph


def parameters(model: bytes) -> int:
    """Return how many numbers the TFLite ``model`` holds that are no shapes or indices."""
    tensors = graph.read(model).main.tensors
    weights = [t for t in tensors if t.constant and t.dtype not in {"int32", "int64", "bool"}]
    return sum(int(np.prod(t.shape)) for t in weights)


def operators(model: bytes) -> dict[str, int]:
    """Return how many operators of each kind the TFLite ``model`` has."""
    found = Counter(operator.name for operator in graph.read(model).main.operators)
    return dict(sorted(found.items()))
