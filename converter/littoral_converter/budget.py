"""What a run costs on this host, and the budget that follows for devices of its kind.

A figure of this host says nothing about other hardware: budgets for that are stated in the
recipe, by whoever measured them there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from littoral_converter import recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of single invokes with one thread on this host, in µs."""

    count: int
    cpu_us: Percentiles
    wall_us: Percentiles


def latency(cpu_us: Sequence[float], wall_us: Sequence[float]) -> Latency:
    return Latency(count=len(cpu_us), cpu_us=_percentiles(cpu_us), wall_us=_percentiles(wall_us))


def budgets(p95_cpu_us: float, wanted: recipe.Selftest, *, here: str | None) -> dict[str, float]:
    """Return the largest p95 of CPU time in µs by hardware: the recipe's, else this host's.

    ``p95_cpu_us`` is what the self-test measured on the hardware ``here``.
    """
    measured = max(wanted.floor_us, wanted.margin * p95_cpu_us)
    default = {} if here is None else {here: float(np.ceil(measured))}
    return default | wanted.p95_cpu_us


def warning(p95_cpu_us: float, budget: dict[str, float], *, here: str | None) -> str | None:
    """Return what to say when the recipe's budget is too small for this host, else None."""
    limit = None if here is None else budget.get(here)
    if limit is None or p95_cpu_us <= limit:
        return None
    return (
        f"the self-test takes {p95_cpu_us:.0f} µs here and the budget for {here} is {limit:.0f} "
        "µs: devices like this host will refuse the release"
    )


def _percentiles(values: Sequence[float]) -> Percentiles:
    p50, p95, p99 = np.percentile(values, (50, 95, 99), method="higher")
    return Percentiles(p50=float(p50), p95=float(p95), p99=float(p99))
