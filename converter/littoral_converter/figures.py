"""The report's pictures: figures in, SVG text out, ready to stand in a page.

Colours work on light and dark ground; the page's style sheet sets the colour of text.
"""

import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from littoral_converter.quantizing import Mixed

TEAL: Final = "#0d9488"
SLATE: Final = "#94a3b8"
CORAL: Final = "#f4745f"
_NUMBERED: Final = 20  # classes up to which each cell bears its number
_NAMED: Final = 40
_DARK: Final = 0.55  # of the deepest cell: above it, letters are white
_STYLE: Final[dict[str, Any]] = {
    "axes.edgecolor": SLATE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.labelcolor": "#475569",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.35,
    "grid.color": SLATE,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": "#475569",
    "text.parse_math": False,  # a label may hold a dollar sign
    "xtick.color": SLATE,
    "xtick.labelcolor": "#475569",
    "ytick.color": SLATE,
    "ytick.labelcolor": "#475569",
}


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Draw true classes down, INT8's answers across; a row's shade is its share of the row."""
    counts = np.asarray(matrix, dtype=np.int64)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = min(9.0, 2.2 + 0.42 * len(labels))
    with _picture("confusion", (side, side)) as (axes, out):
        from matplotlib.colors import LinearSegmentedColormap

        right = LinearSegmentedColormap.from_list("right", ["#0d948808", "#0d9488ff"])
        wrong = LinearSegmentedColormap.from_list("wrong", ["#f4745f00", "#f4745fff"])
        hits = np.eye(len(labels), dtype=bool)
        for cells, colours in ((~hits, wrong), (hits, right)):
            # A tenth of a class going astray is much: show it in full colour.
            scale = 1.0 if colours is right else max(0.1, float(shares[~hits].max(initial=0)))
            axes.pcolormesh(
                np.ma.masked_array(shares, ~cells), cmap=colours, vmin=0, vmax=scale,
                edgecolors="#94a3b840", linewidth=0.5 if len(labels) <= _NAMED else 0,
                rasterized=len(labels) > _NAMED,
            )  # fmt: skip
        _name_cells(axes, labels)
        if len(labels) <= _NUMBERED:
            _number(axes, counts, shares)
    return out.getvalue()


def latency(series: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    """Draw the distribution of (name, colour, µs of single invokes), its p50 and p95 marked."""
    with _picture("latency", (5.6, 2.7)) as (axes, out):
        # What lies far beyond the p95 would press the rest together; the percentiles tell of it.
        most = max(float(np.percentile(us, 95)) for _, _, us in series) * 1.5
        least = min(min(us) for _, _, us in series) * 0.9
        bins = [float(edge) for edge in np.linspace(least, most, 70)]
        for name, colour, us in series:
            axes.hist(us, bins=bins, color=colour, alpha=0.55, label=name, edgecolor="none")
            for q, line in ((50, "-"), (95, (0, (3, 2)))):
                at = float(np.percentile(us, q, method="higher"))
                axes.axvline(at, color=colour, linestyle=line, linewidth=1.6)
        axes.set_xlim(least, most)
        axes.set_xlabel("CPU time of one inference, µs   (solid: median, dashed: p95)")
        axes.set_ylabel("inferences")
        axes.legend(loc="upper right")
    return out.getvalue()


def sizes(bars: Sequence[tuple[str, str, int]]) -> str:
    """Draw (name, colour, bytes) as bars, each with its size beside it."""
    with _picture("sizes", (5.6, 0.4 + 0.42 * len(bars))) as (axes, out):
        at = range(len(bars))[::-1]
        heights = [size / 1024 for _, _, size in bars]
        axes.barh(at, heights, color=[colour for _, colour, _ in bars], height=0.62)
        for y, (name, _, _), size in zip(at, bars, heights, strict=True):
            for at_x, words, side, gap in (
                (size, f"{size:,.1f} KiB", "left", 6),
                (0, name, "right", -6),
            ):
                axes.annotate(
                    words, (at_x, y), (gap, 0), textcoords="offset points", va="center", ha=side
                )
        axes.set_xlim(0, max(heights) * 1.2)
        axes.grid(visible=False)
        axes.set_axis_off()
    return out.getvalue()


def confidence(edges: Sequence[float], counts: Sequence[int]) -> str:
    """Draw how sure the model was of its answers."""
    with _picture("confidence", (5.6, 2.9)) as (axes, out):
        axes.bar(
            edges[:-1], counts, width=np.diff(edges), align="edge", color=TEAL, alpha=0.8,
            edgecolor="none",
        )  # fmt: skip
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel("largest output")
        axes.set_ylabel("samples")
    return out.getvalue()


def _name_cells(axes: "Axes", labels: Sequence[str]) -> None:
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlabel("answered by INT8")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(len(labels) > _NAMED)
    axes.tick_params(length=0)
    if len(labels) <= _NAMED:
        at = np.arange(len(labels)) + 0.5
        short = [label if len(label) <= 14 else f"{label[:13]}…" for label in labels]  # noqa: PLR2004
        axes.set_yticks(at, short)
        axes.set_xticks(at, short, rotation=0 if max(map(len, short)) <= 2 else 60)  # noqa: PLR2004


def _number(axes: "Axes", counts: Any, shares: Any) -> None:  # noqa: ANN401
    for (row, column), count in np.ndenumerate(counts):
        if count:
            on_dark = row == column and shares[row, column] > _DARK
            axes.text(
                column + 0.5, row + 0.5, str(count), ha="center", va="center",
                color="white" if on_dark else "#1e293b",
                gid=f"{'dark' if on_dark else 'pale'}-{row}-{column}",
            )  # fmt: skip


@contextmanager
def _picture(name: str, inches: tuple[float, float]) -> Iterator[tuple["Axes", io.StringIO]]:
    """Yield axes to draw on and the text that the picture becomes."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells when it looks for fonts
    import matplotlib as mpl
    from matplotlib.figure import Figure

    out = io.StringIO()
    # The salt makes ids differ between pictures of a page, and equal between runs.
    style: Any = _STYLE | {"svg.hashsalt": name}
    with mpl.rc_context(style):
        figure = Figure(figsize=inches)
        yield figure.subplots(), out
        raw = io.StringIO()
        plain = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(raw, format="svg", metadata=plain, transparent=True)
    svg = raw.getvalue()
    svg = svg[svg.index("<svg") :]
    out.write(re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*"', r"\1", svg, count=2))


def curve(points: Sequence["Mixed"]) -> str:
    """Draw what each point of mixed precision is worth: agreement over time, size by the dot."""
    with _picture("mixed", (5.6, 3.0)) as (axes, out):
        accuracy = [p.standing.accuracy for p in points]
        agreement = [p.standing.agreement for p in points]
        rows = (("right answers", CORAL, accuracy), ("the float model's answers", TEAL, agreement))
        for name, colour, values in rows:
            seen = [(p, 100 * v) for p, v in zip(points, values, strict=True) if v is not None]
            if not seen:
                continue
            x = [p.cpu_us for p, _ in seen]
            y = [value for _, value in seen]
            for k, words in ((0, "all integer"), (-1, "this release")):
                axes.annotate(
                    words, (x[k], y[k]), (0, 9), textcoords="offset points", ha="center",
                    fontsize=9,
                )  # fmt: skip
            least = min(p.bytes for p in points)
            dots = [30 * p.bytes / least for p, _ in seen]
            axes.scatter(x, y, s=dots, color=colour, label=name, zorder=3)
        axes.set_xlabel("CPU time of one inference, µs   (larger dots: larger files)")
        axes.set_ylabel("% of samples")
        axes.margins(0.12, 0.2)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return out.getvalue()
