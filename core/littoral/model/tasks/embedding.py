"""One output of any shape into a vector, as the model gives it: no norm is taken off."""

from collections.abc import Sequence

import numpy as np

from littoral.model.backends import Array
from littoral.model.tasks.answers import Embedding
from littoral.model.tasks.layout import Shapes, UnreadableError


def check(shapes: Shapes) -> None:
    """Do nothing if outputs of ``shapes`` are a vector. Raises UnreadableError."""
    if len(shapes) != 1:
        raise UnreadableError("embedding", "one output", shapes)


def read(outputs: Sequence[Array]) -> Embedding:
    return Embedding(vector=np.asarray(outputs[0], np.float32).reshape(-1))
