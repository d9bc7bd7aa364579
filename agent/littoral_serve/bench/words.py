"""How people read figures of bench: times, sizes, rates."""

from collections import defaultdict
from collections.abc import Sequence

from littoral_serve.bench.result import FIGURES, Interval, Operator, Result

_MS, _S = 1000.0, 1e6  # in µs
_FEW, _SOME = 10, 100
NAMES = {name: name.replace("_", ".") for name in FIGURES}


def time(us: float | None) -> str:
    """Return three digits and a unit."""
    if us is None:
        return "?"
    for limit, unit in ((_MS, "µs"), (_S, "ms")):
        if abs(us) < limit:
            return f"{digits(us / limit * _MS)} {unit}"
    return f"{digits(us / _S)} s"


def digits(value: float) -> str:
    """Return ``value`` with three digits that mean something."""
    if abs(value) < _FEW:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < _SOME else f"{value:,.0f}"


def size(count: int | None) -> str:
    return "?" if count is None else f"{count / 2**20:.1f} MiB"


def metric(result: Result) -> str:
    """Return MLPerf's figure: its name, and the value."""
    value, unit = result.metric_value, result.metric_unit
    return f"{result.metric}: {time(value) if unit == 'µs' else f'{digits(value)} {unit}'}"


def spread(low: float, high: float, unit: str) -> str:
    return f"{low:g} {unit}" if low == high else f"{low:g} … {high:g} {unit}"


def interval(ends: Interval) -> str:
    low, high = ends
    return f"{time(low)} … {time(high)}"


def setting(backend: str, threads: int, variant: str | None) -> str:
    plain = f"{backend}, {threads} thread{'s' if threads > 1 else ''}"
    return f"{variant} · {plain}" if variant else plain


def covered(part: float) -> str:
    """Return what the operators' times come to, of the time of a whole inference."""
    return f"Their sum is {part:.0%} of a whole inference."


def kinds(operators: Sequence[Operator]) -> list[tuple[str, int, float, float]]:
    """Return by kind of operator: how many, µs of all, share; the greatest first."""
    by: dict[str, list[Operator]] = defaultdict(list)
    for one in operators:
        by[one.op].append(one)
    told = [
        (op, len(held), sum(one.us for one in held), sum(one.share for one in held))
        for op, held in by.items()
    ]
    return sorted(told, key=lambda row: -row[2])


def doubts(result: Result) -> list[str]:
    """Return what a reader should know before believing the figures."""
    told = []
    held = result.conditions
    if not result.warm_up.stable:
        seconds = result.warm_up.seconds
        told.append(f"the model was not warm after {seconds:.1f} s: its latency kept changing")
    if held.throttled:
        told.append(f"the board was throttled at {held.throttled} of {held.samples} looks")
    if held.under_voltage:
        told.append("the board's voltage was low: its power supply is too weak")
    if held.load is not None and held.load >= max(1, result.host.cores):
        told.append(f"the machine was busy when it began: load {held.load:g}")
    if result.host.governor not in {None, "performance"}:
        told.append(f"the processor's clock is governed by {result.host.governor!r}")
    if not result.settings:
        told += _beyond(result)
    figures = ("p50", "p90", "p95", "p99")  # a run of ten seconds seldom bounds p99.9
    unbounded = [name for name in figures if result.latency_us.ci95[name][1] is None]
    if unbounded:
        told.append(f"the run is too short to bound {unbounded[0]}: measure longer")
    asked = result.asked_per_s
    if asked is not None and result.throughput_per_s < 0.9 * asked:
        told.append(f"it cannot keep up with {asked:,.0f} queries a second: the queue grew")
    return told


def _beyond(result: Result) -> list[str]:
    told = []
    name = "p99" if result.scenario == "server" else "p95"
    if result.limit_us is not None and getattr(result.latency_us, name) > result.limit_us:
        shorter = ", which shorter runs at this rate kept" if result.searched else ""
        told.append(f"{name} is beyond the limit of {time(result.limit_us)}{shorter}")
    most = result.limit_bytes
    if most is not None and (result.rss_bytes is None or result.rss_bytes > most):
        told.append(f"memory is beyond the limit of {size(most)}")
    return told
