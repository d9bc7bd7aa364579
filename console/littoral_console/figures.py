"""How times and numbers are written, on pages and in terminals. Values in, text out."""

import re
from collections.abc import Mapping
from typing import Final

from littoral.bundle.costs import Cost
from littoral.sizes import size
from littoral.waits import moment

_AGES: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_NAMES: Final = {  # of what came of a release: files, and how long it took
    "files_patch": "by patch",
    "files_zstd": "as zstd",
    "files_plain": "plain",
    "seconds": "took",
    "rss_bytes": "memory",
}
_PARTS_OF: Final = re.compile(r"^(p\d+)_(\d+)")  # a percentile's: p99_9
_MANY: Final = 100
_LONG_S: Final = 3_600
_ABSURD_S: Final = 1e12  # a device may say any number
_JUST: Final = 1_000  # ms within which a moment is now


def utc(ms: int) -> str:
    """Return the moment in UTC, to the second."""
    return f"{moment(ms):%Y-%m-%d %H:%M:%S} UTC"


def iso(ms: int) -> str:
    """Return the moment as programs read it."""
    return f"{moment(ms):%Y-%m-%dT%H:%M:%S}Z"


def age(ms: int, now_ms: int) -> str:
    """Return how long ago, or in how long, in its largest unit."""
    gone = now_ms - ms
    if abs(gone) < _JUST:
        return "now"
    return f"{_span(gone)} ago" if gone > 0 else f"in {_span(gone)}"


def _span(ms: int) -> str:
    size, unit = next(found for found in _AGES if abs(ms) >= found[0])
    return f"{abs(ms) // size} {unit}"


def micros(us: float) -> str:
    """Return a latency in the unit that reads best."""
    if us < 1_000:  # noqa: PLR2004
        return f"{us:.0f} µs" if us >= 10 else f"{us:.1f} µs"  # noqa: PLR2004
    if us < 1_000_000:  # noqa: PLR2004
        return f"{us / 1_000:.3g} ms"
    return f"{us / 1_000_000:.3g} s"


def number(count: float) -> str:
    """Return a number with its thousands apart, by a narrow space that does not break."""
    return f"{count:,.0f}".replace(",", "\u202f")


def many(count: int, noun: str) -> str:
    """Return how many of what, as people say it: 1 device, 2 devices."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def percent(part: float) -> str:
    """Return a fraction as percent, with as many places as it has to say."""
    return f"{100 * part:.4g} %"


def ways(cost: Cost) -> tuple[tuple[str, int], ...]:
    """Return in which ways a variant's files may travel, and in how many bytes."""
    patches = ((f"to a device with r{since.release}", since.bytes) for since in cost.since)
    return (("plain", cost.plain), ("zstd, to a new device", cost.first), *patches)


def rows(found: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the figures of a report as people read them, by name."""
    return sorted((name(one), named(value, one)) for one, value in found.items())


def named(value: float, name: str) -> str:
    """Return a figure of a report in the unit that its name ends in."""
    if name == "seconds":
        return f"{value:.3g} s"
    if name.endswith(("_us", "_ms")):
        return micros(value if name.endswith("_us") else value * 1_000)
    if name.endswith("_per_s"):
        return f"{value:.3g}/s" if abs(value) < _MANY else f"{number(value)}/s"
    if name.endswith("_s"):
        long = _LONG_S <= abs(value) < _ABSURD_S
        return _span(round(value * 1_000)) if long else f"{value:.4g} s"
    if name.endswith(("bytes", "size")):
        return size(round(value))
    return f"{value:.4g}"


def name(figure: str) -> str:
    """Return what a figure is called, without its unit."""
    if figure in _NAMES:
        return _NAMES[figure]
    for unit in ("_us", "_ms", "_per_s", "_s", "_bytes"):
        figure = figure.removesuffix(unit)
    return _PARTS_OF.sub(r"\1.\2", figure).replace("_", " ")


def said(value: object) -> str:
    """Return a detail of the audit log as people write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={found}" for key, found in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
