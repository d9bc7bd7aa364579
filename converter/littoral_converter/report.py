"""What a conversion found, as data (report.json) and as a page (report.html).

The page is one file without scripts or anything fetched: it is shown by consoles, mailed
and archived. Nothing is measured here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from littoral import records
from littoral.bundle.baseline import Baseline
from littoral.bundle.manifest import Selftest, Task, Tensor
from littoral.model.selftest import Figures
from littoral_converter.budget import Latency
from littoral_converter.check import Operator
from littoral_converter.compressing import Compression
from littoral_converter.edgetpu.target import EdgeTpu
from littoral_converter.evaluate import Class, Likeness, Regression, Score
from littoral_converter.evidence import nearness, showing
from littoral_converter.evidence.detection import Detected
from littoral_converter.evidence.nodes import Node
from littoral_converter.evidence.worst import Worst
from littoral_converter.quantizing import Quantized
from littoral_converter.recipe import Recipe
from littoral_converter.targets.exports import Export
from littoral_converter.worker import Cost

FORMAT: Final = 1
_SHOWN: Final = 20  # classes that the page shows at once
_FOLDED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file that went in; its name only, for folders are nobody's business."""

    name: str
    sha256: str
    kind: str
    bytes: int | None = None
    samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine that converted and measured."""

    hardware: str | None
    processor: str
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One variant, and what was found about it."""

    id: str
    file: str
    bytes: int
    sha256: str
    fully_integer: bool
    operators: tuple[Operator, ...]
    constant_bytes: int
    likeness: Likeness
    latency: Latency
    min_runtime: str | None = None
    score: Score | None = None
    regression: Regression | None = None
    detected: Detected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """The model before: as TFLite, for its size and speed; its answers are the framework's own."""

    bytes: int
    parameters: int
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    format: int
    model: str
    release: int
    label: str
    task: Task
    made: str  # UTC
    source: Given
    calibration: Given
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    before: Float
    variants: tuple[Compiled, ...]
    selftest: Selftest
    proven: Figures  # of the self-test, on this host
    baseline: Baseline
    host: Host
    software: dict[str, str]
    layers: dict[str, int]
    quantized: Quantized
    steps: dict[str, Cost]
    recipe: Recipe
    compression: Compression | None = None
    edgetpu: EdgeTpu | None = None  # the target, where it was asked for
    exports: tuple[Export, ...] = ()
    warnings: tuple[str, ...] = ()
    evaluation: Given | None = None
    tensors: nearness.Found | None = None  # INT8's beside the float model's
    worst: tuple[Worst, ...] = ()  # a is the float model, b INT8
    graph: tuple[Node, ...] = ()  # of INT8

    def to_json(self) -> bytes:
        return records.to_json(self)


def render(
    report: Report,
    *,
    int8_cpu_us: Sequence[float],
    float_cpu_us: Sequence[float],
    shown: Sequence[str] = (),
) -> bytes:
    """Return the page; the two lists are the single measurements behind the percentiles.

    ``shown`` is HTML for each of the worst samples.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from littoral_converter import figures

    variant = report.variants[0]
    timed = (
        ("INT8", figures.TEAL, int8_cpu_us),
        ("float", figures.SLATE, float_cpu_us),
    )
    bars = [
        (report.source.name, figures.SLATE, report.source.bytes or 0),
        ("float TFLite", figures.SLATE, report.before.bytes),
        ("INT8", figures.TEAL, variant.bytes),
    ]
    pictures = {"latency": figures.latency(timed), "sizes": figures.sizes(bars)}
    if variant.score is not None and variant.score.confusion is not None:
        labels = [c.label for c in variant.score.classes]
        pictures["confusion"] = figures.confusion(variant.score.confusion, labels)
    if report.baseline.confidence is not None:
        found = report.baseline.confidence
        pictures["confidence"] = figures.confidence(found.edges, found.counts)
    if len(report.quantized.mixed) > 1:
        pictures["mixed"] = figures.curve(report.quantized.mixed)
    environment = Environment(
        loader=PackageLoader("littoral_converter"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "size": _size, "us": _us, "plain": records.plain}
    page = environment.get_template("report.html").render(
        report=report,
        variant=variant,
        # Drawn by us; labels in them were escaped when they were drawn.
        pictures={name: Markup(svg) for name, svg in pictures.items()},  # noqa: S704
        classes=_worst_first(variant),
        seen=showing.of(report, shown),
        recipe=records.plain(report.recipe),
    )
    return page.encode()


def _worst_first(variant: Compiled) -> tuple[tuple[Class, ...], tuple[Class, ...]]:
    """Return the classes to show at once and those to fold away; many are sorted by F1."""
    if variant.score is None:
        return (), ()
    classes = variant.score.classes
    if len(classes) <= _SHOWN:
        return classes, ()
    known = sorted((c for c in classes if c.f1 is not None), key=lambda c: c.f1 or 0.0)
    return tuple(known[:_SHOWN]), tuple(known[_SHOWN:_FOLDED])


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def _us(us: float) -> str:
    if us < 1000:  # noqa: PLR2004
        return f"{us:.1f} µs" if us < 100 else f"{us:.0f} µs"  # noqa: PLR2004
    return f"{us / 1000:.2f} ms"
