"""What of a report needs drawing or choosing before a page can show it. No figure is made here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from littoral_converter.evidence import drawing
from littoral_converter.evidence.nearness import Layer
from littoral_converter.evidence.stored import Weights

if TYPE_CHECKING:
    from markupsafe import Markup

    from littoral_converter.evidence.worst import Worst
    from littoral_converter.report import Report

_LAYERS: Final = 12  # that differ most, before the rest is folded away
_MOST: Final = 120
_NODES: Final = 400  # of a graph that is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A layer or its weights, and its histogram."""

    about: Layer | Weights
    histogram: "Markup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A sample that INT8 answers otherwise, and what float and INT8 say of it."""

    picture: "Markup"
    about: "Worst"
    float_answer: str | None
    int8_answer: str | None
    true: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Each is empty or None where there is nothing to show."""

    errors: "Markup | None"
    layers: tuple[Row, ...]  # that differ most
    more_layers: tuple[Row, ...]
    weights: tuple[Row, ...]
    cards: tuple[Card, ...]
    graph: "Markup | None"
    left: int  # operators that are drawn as not done


def of(report: "Report", pictures: Sequence[str]) -> Shown:
    """Return what the page shows of ``report``; ``pictures`` are HTML, one a worst sample."""
    from markupsafe import Markup

    safe = Markup  # all of it is drawn by us, and escapes what a stranger named
    layers = () if report.tensors is None else report.tensors.layers
    far = sorted(layers, key=lambda layer: -layer.error)[:_MOST]
    rows = tuple(
        Row(about=one, histogram=safe(drawing.histogram(one.counts, one.reference))) for one in far
    )
    tpu = report.edgetpu is not None
    nodes = report.graph if len(report.graph) <= _NODES else ()
    return Shown(
        errors=safe(drawing.errors(layers)) if layers else None,
        layers=rows[:_LAYERS],
        more_layers=rows[_LAYERS:],
        weights=tuple(
            Row(about=one, histogram=safe(drawing.histogram(one.counts)))
            for one in (() if report.tensors is None else report.tensors.weights)[:_MOST]
        ),
        cards=tuple(_cards(report, pictures, safe)),
        graph=safe(drawing.graph(nodes, edgetpu=tpu)) if nodes else None,
        left=sum(node.left is not None if tpu else node.floats for node in nodes),
    )


def _cards(report: "Report", pictures: Sequence[str], safe: Callable[[str], Any]) -> list[Card]:
    score = report.variants[0].score
    names = None if score is None else [one.label for one in score.classes]

    def name(k: int | None) -> str | None:
        return names[k] if names is not None and k is not None else None if k is None else str(k)

    return [
        Card(
            picture=safe(picture),
            about=one,
            float_answer=name(one.a),
            int8_answer=name(one.b),
            true=name(one.true),
        )
        for one, picture in zip(report.worst, pictures, strict=False)
    ]
