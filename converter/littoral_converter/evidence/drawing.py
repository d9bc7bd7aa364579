"""Small pictures that the report draws itself: the graph, errors by layer, histograms.

SVG text whose colours are the page's own (classes and variables of its style sheet), so that it
is right on light and dark ground. Names of tensors are a stranger's, and are escaped.
"""

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Final

from littoral_converter.evidence.nearness import Layer
from littoral_converter.evidence.nodes import Node

_ROWS: Final = 24  # of nodes, then the next column begins
_WIDTH, _HEIGHT, _GAP, _DOWN = 136, 20, 14, 32
_LETTERS: Final = 21


def graph(nodes: Sequence[Node], *, edgetpu: bool) -> str:
    """Draw operators from top to bottom, column after column, and what flows between them."""
    places = _places(nodes)
    width = max(x for x, _ in places) + _WIDTH + _GAP
    height = max(y for _, y in places) + _HEIGHT + _GAP
    edges = [_edge(places[k], places[i]) for i, node in enumerate(nodes) for k in node.inputs]
    boxes = [_box(node, place, edgetpu=edgetpu) for node, place in zip(nodes, places, strict=True)]
    return (
        f'<svg class="graph" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"{''.join(edges)}{''.join(boxes)}</svg>"
    )


def _places(nodes: Sequence[Node]) -> list[tuple[int, int]]:
    """Return the left upper corner of each node's box."""
    depths: list[int] = []
    for node in nodes:
        depths.append(1 + max((depths[k] for k in node.inputs), default=-1))
    lanes: list[int] = []
    taken: dict[int, set[int]] = defaultdict(set)
    for node, depth in zip(nodes, depths, strict=True):
        wish = lanes[node.inputs[0]] if node.inputs else 0
        free = (n for n in (wish, *range(len(nodes))) if n not in taken[depth])
        lane = next(free)
        taken[depth].add(lane)
        lanes.append(lane)
    wide: dict[int, int] = defaultdict(int)  # lanes by column
    for depth, lane in zip(depths, lanes, strict=True):
        wide[depth // _ROWS] = max(wide[depth // _ROWS], lane + 1)
    starts = [0]
    for column in range(max(wide) + 1):
        starts.append(starts[-1] + wide[column] * (_WIDTH + _GAP) + _GAP)
    return [
        (_GAP + starts[d // _ROWS] + lane * (_WIDTH + _GAP), _GAP + d % _ROWS * _DOWN)
        for d, lane in zip(depths, lanes, strict=True)
    ]


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y = start[0] + _WIDTH // 2, start[1] + _HEIGHT
    u, v = end[0] + _WIDTH // 2, end[1]
    if x == u and v - y <= _DOWN:
        return f'<path d="M{x} {y}V{v}"/>'
    if v > y:  # around what stands between
        side = max(start[0], end[0]) + _WIDTH + _GAP // 2 if x == u else u
        return f'<path d="M{x} {y}C{side} {y + 14} {side} {v - 14} {u} {v}"/>'
    middle = (x + u) // 2  # up to the next column
    return f'<path class="far" d="M{x} {y}C{middle} {y + 40} {middle} {v - 40} {u} {v}"/>'


def _box(node: Node, place: tuple[int, int], *, edgetpu: bool) -> str:
    kind = "left" if (node.left is not None if edgetpu else node.floats) else "done"
    shape = "x".join(map(str, node.shape))
    words = [node.operator, node.output, shape, node.left or ("floats" if node.floats else "")]
    told = escape("\n".join(word for word in words if word))
    name = node.operator if len(node.operator) <= _LETTERS else f"{node.operator[: _LETTERS - 1]}…"
    x, y = place
    return (
        f'<g class="{kind}"><title>{told}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
        f'<text x="{x + _WIDTH // 2}" y="{y + 14}">{escape(name)}</text></g>'
    )


def errors(layers: Sequence[Layer]) -> str:
    """Draw the error of each layer as a bar, in the order they run."""
    most = max((layer.error for layer in layers), default=0) or 1.0
    step = min(28.0, max(3.0, 1000 / len(layers)))
    width = step * len(layers)
    bars = [
        f"<g><title>{escape(f'{layer.operator} {layer.name}: {layer.error:.2%}')}</title>"
        f'<rect class="{"left" if layer.error == most else "done"}" x="{k * step:.1f}" '
        f'y="{100 - 96 * min(layer.error / most, 1):.1f}" width="{step * 0.8:.1f}" '
        f'height="{96 * min(layer.error / most, 1):.1f}"/></g>'
        for k, layer in enumerate(layers)
    ]
    return (
        f'<svg class="errors" viewBox="0 0 {width:.0f} 101" preserveAspectRatio="none">'
        f"{''.join(bars)}<path d='M0 100.5H{width:.0f}'/></svg>"
    )


def histogram(counts: Sequence[int], reference: Sequence[int] = ()) -> str:
    """Draw how often which value, low to high; the reference's as a line over it."""
    most = max((*counts, *reference, 1))
    return (
        f'<svg class="histogram" viewBox="0 0 {len(counts)} 16" preserveAspectRatio="none">'
        f'<path class="area" d="{_steps(counts, most)}V16H0Z"/>'
        + (f'<path class="line" d="{_steps(reference, most)}"/>' if reference else "")
        + "</svg>"
    )


def _steps(counts: Sequence[int], most: int) -> str:
    heights = [16 - 15 * (n / most) ** 0.5 for n in counts]  # roots, or the rare ones vanish
    return f"M0 {heights[0]:.1f}H1" + "".join(f"V{h:.1f}h1" for h in heights[1:])
