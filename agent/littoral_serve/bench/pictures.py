"""The pictures of a result: which figures, on which scales. ``drawing`` makes the marks."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from littoral_serve.bench import drawing, showing, words
from littoral_serve.bench.drawing import Scale, Tick
from littoral_serve.bench.result import FIGURES, Compared, Ratio, Result, Setting

_COLUMNS: Final = 72
_MARKED: Final = ("p50", "p95", "p99")
_CROWDED: Final = 0.9  # stands close to the next one
_LAST: Final = 0.999


def spread(result: Result) -> str:
    """Return how often which latency was."""
    bins = showing.shares(result, _COLUMNS)
    if len(bins) < 2:  # noqa: PLR2004 (all the same is no picture)
        return ""
    ratio = bins[1][0] / bins[0][0]
    scale = Scale(bins[0][0] / math.sqrt(ratio), bins[-1][0] * math.sqrt(ratio), logarithmic=True)
    most = max(share for _, share in bins)
    marks = [
        drawing.bar(
            scale.part(us / math.sqrt(ratio)),
            scale.part(us * math.sqrt(ratio)),
            share / most,
            tip=f"about {words.time(us)}: {share:.2%} of all queries",
        )
        for us, share in bins
        if share
    ]
    held = result.latency_us
    for name in _MARKED:
        value = getattr(held, name)
        if scale.low <= value <= scale.high:
            tip = f"{name}: {words.time(value)}"
            marks.append(drawing.upright(scale.part(value), kind=f"mark {name}", tip=tip))
    up = [Tick(value / (100 * most), f"{value:.3g} %") for value in _percents(most)]
    return drawing.plot(
        marks,
        across=_times(scale),
        up=up,
        words=f"how often which latency was; half of all are below {words.time(held.p50)}",
    )


def tail(result: Result) -> str:
    """Return latency by percentile, with its intervals: the far end is drawn wide."""
    held = result.latency_us
    known = [(q, getattr(held, name), held.ci95[name], name) for name, q in FIGURES.items()]
    top = max(held.p99_9, *(end for _, _, ends, _ in known if (end := ends[1]) is not None))
    scale = Scale(held.least * 0.98, top * 1.02, logarithmic=top > 4 * held.least)
    points = [(0.0, held.least), *((q, value) for q, value, _, _ in known)]
    line = [(_far(q), scale.part(us)) for q, us in points]
    marks = [drawing.line(line, kind="line")]
    for q, value, (low, high), name in known:
        ends = (low or held.least, high or scale.high)
        tip = f"{words.NAMES[name]}: {words.time(value)}, {words.interval((low, high))}"
        parts = [scale.part(end) for end in ends]
        marks.append(drawing.whisker(_far(q), parts[0], parts[1], kind="whisker", tip=tip))
    across = [Tick(0.0, "least", minor=True)]
    across += [Tick(_far(q), f"p{q * 100:g}", minor=q == _CROWDED) for q in FIGURES.values()]
    return drawing.plot(
        marks, across=across, up=_times(scale), words="latency by percentile, with its intervals"
    )


def course(result: Result) -> str:
    """Return latency over the run: the middle, and the slowest of each slice."""
    held = result.course
    if len(held) < 2:  # noqa: PLR2004
        return ""
    high = max(one.most for one in held)
    low = min(one.p50 for one in held)
    scale = Scale(low * 0.95, high * 1.05, logarithmic=high > 4 * low)
    across = Scale(0.0, max(result.duration_s, held[-1].at_s))
    middle = [(across.part(one.at_s), scale.part(one.p50)) for one in held]
    worst = [(across.part(one.at_s), scale.part(one.most)) for one in held]
    marks = [drawing.band(middle, worst, kind="band"), drawing.line(middle, kind="line")]
    ticks = [Tick(across.part(s), f"{s:g} s") for s in across.ticks()]
    return drawing.plot(
        marks, across=ticks, up=_times(scale), words="latency over the time of the run"
    )


def board(result: Result) -> list[tuple[str, str]]:
    """Return name and picture of each figure of the board that changed."""
    seen = result.conditions.course
    told = []
    for name, unit in (("temperature_c", "°C"), ("frequency_mhz", "MHz"), ("power_w", "W")):
        points = [(one.at_s, v) for one in seen if (v := getattr(one, name)) is not None]
        values = [value for _, value in points]
        if len(points) < 3 or max(values) - min(values) < 0.02 * max(values):  # noqa: PLR2004
            continue
        across = Scale(0.0, points[-1][0])
        up = Scale(min(values) * 0.98, max(values) * 1.02)
        line = [(across.part(at), up.part(value)) for at, value in points]
        picture = drawing.plot(
            [drawing.line(line, kind="line")],
            across=[Tick(across.part(s), f"{s:g} s") for s in across.ticks()],
            up=[Tick(up.part(v), f"{v:g} {unit}") for v in up.ticks()],
            words=f"{name} over the run",
        )
        told.append((name.split("_", maxsplit=1)[0], picture))
    return told


def operators(result: Result) -> str:
    rows = words.kinds(result.operators)
    most = max((us for _, _, us, _ in rows), default=0) or 1
    return drawing.rows(
        [
            (f"{op} x {count}", f"{words.time(us)} · {share:.1%}", us / most, "")
            for op, count, us, share in rows
        ]
    )


def settings(held: Sequence[Setting]) -> str:
    most = max((one.throughput_per_s or 0 for one in held), default=0) or 1
    return drawing.rows(
        [
            (
                words.setting(one.backend, one.threads, one.variant),
                f"{words.digits(one.throughput_per_s or 0)}/s" if not one.error else "does not run",
                (one.throughput_per_s or 0) / most,
                "chosen" if one.recommended else "" if one.fits else "beyond",
            )
            for one in held
        ]
    )


def ratios(held: Compared) -> str:
    pairs = (("p50", held.p50), ("p95", held.p95), ("mean", held.mean))
    ends = [end for _, one in pairs for end in (*one.ci95, one.value) if end is not None]
    reach = max(0.02, *(abs(math.log(end)) for end in ends)) * 1.15

    def part(ratio: float) -> float:
        return 0.5 + math.log(ratio) / (2 * reach)

    return "".join(_ratio(name, one, part) for name, one in pairs)


def _ratio(name: str, one: Ratio, part: Callable[[float], float]) -> str:
    low, high = (one.value if end is None else end for end in one.ci95)
    good = "better" if high < 1 else "worse" if low > 1 else ""
    value = f"{one.value:.3f} ({low:.3f} … {high:.3f})"
    return drawing.span(part(low), part(one.value), part(high), name=name, value=value, good=good)


def _far(q: float) -> float:
    """Return where a percentile stands: each nine takes as much room."""
    return -math.log10(1 - q) / 3 if q < _LAST else 1.0


def _percents(most: float) -> list[float]:
    return Scale(0.0, most * 100).ticks()


def _times(scale: Scale) -> list[Tick]:
    return [Tick(scale.part(us), _plain(us)) for us in scale.ticks()]


def _plain(us: float) -> str:
    """Return a round time without the zeros of three digits."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if us >= limit:
            return f"{us / limit:g} {unit}"
    return f"{us:g} µs"
