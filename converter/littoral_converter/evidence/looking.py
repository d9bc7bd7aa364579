"""What a report shows beside figures: tensors side by side, the worst samples, the graph."""

from dataclasses import dataclass, field

import numpy as np

from littoral.errors import BackendError
from littoral.model import tensors
from littoral_converter import graph
from littoral_converter.evidence import nearness, nodes, worst
from littoral_converter.evidence.nodes import Node
from littoral_converter.evidence.worst import Worst
from littoral_converter.importers import program
from littoral_converter.measure import Measured
from littoral_converter.quantizing import INT8
from littoral_converter.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """``tensors`` is None where LiteRT could not run both side by side."""

    tensors: nearness.Found | None
    worst: tuple[Worst, ...]
    shown: tuple[str, ...] = field(repr=False)  # HTML of each of the worst
    graph: tuple[Node, ...]


def look(shop: Workshop, found: Measured, *, edgetpu: bool, compiled: bytes | None = None) -> Seen:
    """Return what is seen of the model in the shop; ``compiled`` is its Edge TPU twin."""
    reference = np.load(shop.folder / program.ANSWERS)
    real = tensors.dequantize(found.answers, found.output)
    y = None if found.judged is None or not found.ranked else found.judged.y
    far = worst.find(reference, real, y, ranked=found.ranked)
    return Seen(
        tensors=_tensors(shop),
        worst=far,
        shown=tuple(worst.show(np.asarray(found.samples[one.sample])) for one in far),
        graph=nodes.of(
            graph.read(found.int8),
            edgetpu=edgetpu,
            compiled=None if compiled is None else graph.read(compiled),
        ),
    )


def _tensors(shop: Workshop) -> nearness.Found | None:
    job = nearness.Job(
        reference=shop.folder / program.FLOAT,
        model=shop.folder / INT8,
        samples=shop.folder / "samples.npy",
    )
    try:
        return shop.do("tensors", job, nearness.Found, name="compare tensors")
    except BackendError:  # each of them ran by itself: the report can do without
        return None
