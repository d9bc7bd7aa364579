"""Mutants that are valid flatbuffers, and say something else: a graph with one thing changed."""

import contextlib
import struct
from collections.abc import Callable
from random import Random
from typing import Any, Final

from faults import hostile_graph as graph
from faults import hostile_tensors as tensors
from faults.hostile_added import added

Edit = Callable[[Any, Random], None]


def edited(data: bytes, chance: Random) -> bytes:
    """Change one thing or two in the graph of ``data``."""
    for _ in range(100):
        root = graph.unpacked(data)
        # What the schema's writer cannot write is no flatbuffer.
        with contextlib.suppress(
            ValueError, TypeError, IndexError, AttributeError, OverflowError, struct.error
        ):
            for _ in range(chance.choice((1, 1, 1, 2))):
                chance.choice(EDITS)(root, chance)
            return graph.packed(root)
    raise RuntimeError("a hundred edits, and none that can be written")


EDITS: Final[tuple[Edit, ...]] = (
    tensors.shape,
    tensors.kind,
    tensors.buffer_of,
    tensors.scale,
    tensors.zero_point,
    tensors.channel,
    tensors.variable,
    tensors.sparse,
    tensors.name,
    graph.operands,
    graph.operands,
    graph.code_of,
    graph.code,
    graph.option,
    graph.option,
    graph.options_of_another,
    graph.no_options,
    graph.custom_options,
    graph.order,
    graph.border,
    tensors.contents,
    tensors.swapped,
    graph.signature,
    graph.graphs,
    added,
    added,
    added,
)
