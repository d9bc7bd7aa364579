"""What bench found: what ``--json`` prints, what pages are drawn from, and what is read back.

docs/bench.md says how each figure comes about. Nothing here measures or judges.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from littoral.wire.board import Spread

FORMAT: Final = 1
FIGURES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}

Scenario = Literal["single-stream", "multi-stream", "offline", "server"]
SCENARIOS: Final[tuple[Scenario, ...]] = ("single-stream", "multi-stream", "server", "offline")
Interval = tuple[float | None, ...]  # its two ends; None: this run is too short to tell


def _check_ends(interval: Interval) -> None:
    if len(interval) != 2:  # noqa: PLR2004
        raise ValueError(f"ci95: expected two ends, found {len(interval)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of one query, in µs."""

    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float
    mean: float
    least: float
    most: float
    ci95: dict[str, Interval]  # by figure
    independent: int  # as many independent values the run was worth, at its median

    def __post_init__(self) -> None:
        for interval in self.ci95.values():
            _check_ends(interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    count: int
    seconds: float
    p50: float  # of the last block's inferences, in µs
    stable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of the process that ran it, in bytes; None where the kernel does not tell."""

    before: int | None = None  # Python and NumPy
    runtime: int | None = None  # … and the runtime
    loaded: int | None = None  # … and the model
    steady: int | None = None  # after the warm-up
    peak: int | None = None  # until then
    model: int | None = None  # what it added: steady, less runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of the model, measured alone."""

    index: int
    op: str
    shape: tuple[int, ...]  # of what it makes
    us: float  # the median
    share: float  # of all operators' sum


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The board at one moment of the run."""

    at_s: float
    temperature_c: float | None = None
    frequency_mhz: float | None = None
    power_w: float | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How the board was while it was measured; what it does not tell is None."""

    samples: int = 0
    throttled: int = 0  # of the samples
    under_voltage: int = 0
    temperature_c: Spread | None = None
    frequency_mhz: Spread | None = None
    power_w: Spread | None = None  # of the whole board
    energy_mj: float | None = None  # of the whole board, by sample answered
    load: float | None = None  # processes that wanted to run when it began, mean of a minute
    course: tuple[Glance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the run, to be drawn."""

    at_s: float
    p50: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftest:
    """The bundle's self-test, as a device does it: what budgets come from."""

    model: str
    release: int
    hardware: str
    file: str  # the sha256 of the variant's model
    p95_cpu_us: float
    budget_us: float | None = None  # what the manifest says
    code: str | None = None  # None exactly when it passed
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine."""

    name: str
    hardware: str | None  # as manifests call it
    board: str
    processor: str
    cores: int
    memory_mib: int
    governor: str | None
    system: str
    python: str
    littoral: str
    runtime: str  # and its version


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run the model, and what came of it."""

    backend: str
    threads: int
    variant: str | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    throughput_per_s: float | None = None
    rss_bytes: int | None = None
    load_ms: float | None = None
    fits: bool = False  # within the limits
    recommended: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """B's figure by A's: the median over all pairs, and its interval."""

    value: float
    ci95: Interval

    def __post_init__(self) -> None:
        _check_ends(self.ci95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Another model against the target, measured in alternation."""

    other: str
    variant: str | None
    backend: str
    threads: int
    pairs: int
    p50: Ratio
    p95: Ratio
    mean: Ratio
    p50_us: float  # the other's
    verdict: Literal["faster", "slower", "no difference found"]  # the other, by p50
    rss_bytes: int | None
    load_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One rate that was tried."""

    per_s: float
    p99: float
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    format: int = FORMAT
    target: str
    time_ms: int  # since 1970
    variant: str | None = None
    backend: str
    threads: int
    scenario: Scenario
    count: int  # queries
    samples_per_query: int = 1
    batch: int = 1  # samples that one inference answers
    duration_s: float
    latency_us: Latency
    throughput_per_s: float
    metric: str  # MLPerf's figure of this scenario …
    metric_value: float
    metric_unit: str
    asked_per_s: float | None = None  # of the server scenario
    limit_us: float | None = None
    limit_bytes: int | None = None
    searched: tuple[Searched, ...] = ()
    runtime_ms: float
    load_ms: float
    first_ms: float
    warm_up: WarmUp
    rss_bytes: int | None
    memory: Memory
    operators: tuple[Operator, ...] = ()
    operators_covered: float | None = None  # their sum, as a part of a whole inference
    operators_note: str = ""  # why there are none
    inputs: str  # golden or random
    conditions: Conditions = field(default_factory=Conditions)
    selftest: Selftest | None = None
    settings: tuple[Setting, ...] = ()  # of a sweep
    recommended: Setting | None = None
    compared: Compared | None = None
    course: tuple[Slice, ...] = ()
    sketch: str = ""  # base64 of the Sketch of all latencies
    host: Host
