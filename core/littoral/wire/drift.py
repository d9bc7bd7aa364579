"""How far a model's answers have moved from its baseline. Rules: counts in, a verdict out.

A device counts what was answered, in bins: ``classes``, which class was the largest output;
``confidence``, how large it was, in the baseline's bins; ``values``, of outputs that rank
nothing, in the bins between the baseline's quantiles. The counts are merged as they are, over
devices and time, and compared where all of them are: a device decides nothing.

Two figures, for each is blind alone. The population stability index (Siddiqi, Credit Risk
Scorecards, 2006) says how far: sum (found - expected) ln(found / expected), less what chance
alone makes of so few samples. The chi-square test of two binned samples (Numerical Recipes,
14.3) says whether it can be chance at all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from littoral.bundle.baseline import QUANTILES, Baseline
from littoral.wire.sketch import BUCKETS, LOWEST, Sketch

Kind = Literal["classes", "confidence", "values"]
Level = Literal["few", "stable", "moderate", "significant"]

KINDS: Final[tuple[Kind, ...]] = ("classes", "confidence", "values")
FEW: Final = 100  # answers, below which nothing is said
MODERATE: Final = 0.1  # of the index, as it is read everywhere
SIGNIFICANT: Final = 0.25
CHANCE: Final = 0.001  # a greater p-value may be chance
LAST_CLASS: Final = BUCKETS - 1  # whose bin it shares with those beyond it
_MOST_BINS: Final = 20  # the rarest classes are counted as one
_LEAST_SHARE: Final = 1e-4  # an empty bin is no infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A baseline's counts of one kind, by bin."""

    kind: Kind
    counts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far what was found is from what was expected; shares by bin, the rare ones as one."""

    kind: Kind
    count: int
    index: float
    p_value: float
    level: Level
    bins: tuple[int | None, ...]  # which ones the shares are of; None: all others
    expected: tuple[float, ...]
    found: tuple[float, ...]


def expected(baseline: Baseline) -> tuple[Expected, ...]:
    """Return what can be compared with ``baseline``."""
    kept = []
    if baseline.answered is not None and any(baseline.answered):
        folded = [0.0] * min(len(baseline.answered), BUCKETS)
        for one, count in enumerate(baseline.answered):
            folded[min(one, LAST_CLASS)] += count
        kept.append(Expected(kind="classes", counts=tuple(folded)))
    if baseline.confidence is not None and any(baseline.confidence.counts):
        counts = tuple(map(float, baseline.confidence.counts))
        kept.append(Expected(kind="confidence", counts=counts))
    if not kept and value_edges(baseline):
        steps = QUANTILES[1:-1]
        shares = [b - a for a, b in zip((0.0, *steps), (*steps, 1.0), strict=True)]
        counts = tuple(share * baseline.samples for share in shares)
        kept.append(Expected(kind="values", counts=counts))
    return tuple(kept)


def value_edges(baseline: Baseline) -> tuple[float, ...]:
    """Return what parts the bins of ``values``: nothing where quantiles are equal, or several."""
    if len(baseline.outputs) != 1:
        return ()
    (one,) = baseline.outputs
    edges = tuple(one.quantiles.get(str(q), math.nan) for q in QUANTILES[1:-1])
    return edges if all(a < b for a, b in pairwise(edges)) else ()


def carried(counts: Mapping[int, int]) -> Sketch:
    """Return ``counts`` by bin as they travel: merged and kept as sketches are."""
    return Sketch.of(zeros=0, total=0, bins=[(LOWEST + i, n) for i, n in counts.items()])


def counted(sketch: Sketch) -> dict[int, int]:
    """Return the counts by bin that ``carried`` made a sketch of."""
    return {bucket - LOWEST: n for bucket, n in sketch.bins()}


def compare(wanted: Expected, found: Mapping[int, int]) -> Drift:
    """Return how far ``found``, counts by bin, has moved from what was ``wanted``."""
    bins = _bins(wanted)
    before = _folded(dict(enumerate(wanted.counts)), bins)
    after = _folded(found, bins)
    n, m = sum(before), sum(after)
    shares = [v / n for v in before], [v / m if m else 0.0 for v in after]
    index, p_value = 0.0, 1.0
    if m:
        chance = (len(bins) - 1) * (1 / n + 1 / m)
        index = max(0.0, _index(*shares) - chance)
        p_value = _p_value(before, after)
    return Drift(
        kind=wanted.kind,
        count=int(m),
        index=index,
        p_value=p_value,
        level=_level(int(m), index, p_value),
        bins=bins,
        expected=tuple(shares[0]),
        found=tuple(shares[1]),
    )


def _level(count: int, index: float, p_value: float) -> Level:
    if count < FEW:
        return "few"
    if index < MODERATE or p_value > CHANCE:
        return "stable"
    return "significant" if index >= SIGNIFICANT else "moderate"


def _bins(wanted: Expected) -> tuple[int | None, ...]:
    """Return the bins that are told apart: of many classes the most frequent ones."""
    counts = wanted.counts
    if wanted.kind != "classes" or len(counts) <= _MOST_BINS:
        own: tuple[int | None, ...] = tuple(range(len(counts)))
        return (*own, None) if wanted.kind == "classes" else own
    ranked = sorted(range(len(counts)), key=lambda i: (-counts[i], i))
    return (*sorted(ranked[: _MOST_BINS - 1]), None)


def _folded(counts: Mapping[int, float], bins: Sequence[int | None]) -> list[float]:
    own = {i: at for at, i in enumerate(bins) if i is not None}
    folded = [0.0] * len(bins)
    for i, n in counts.items():
        folded[own.get(i, len(bins) - 1)] += n
    return folded


def _index(before: Sequence[float], after: Sequence[float]) -> float:
    pairs = [
        (max(a, _LEAST_SHARE), max(b, _LEAST_SHARE)) for a, b in zip(before, after, strict=True)
    ]
    return sum((b - a) * math.log(b / a) for a, b in pairs)


def _p_value(before: Sequence[float], after: Sequence[float]) -> float:
    up = math.sqrt(sum(before) / sum(after))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a + b > 0]
    freedom = len(pairs) - 1
    if freedom < 1:
        return 1.0
    return _upper(freedom, sum((a / up - b * up) ** 2 / (a + b) for a, b in pairs))


def _upper(freedom: int, chi2: float) -> float:
    """Return the chance of a greater chi-square, as Wilson and Hilferty (1931) approximate it."""
    if chi2 <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    z = ((chi2 / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))
