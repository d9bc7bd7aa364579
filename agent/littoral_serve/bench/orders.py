"""What is asked of the process that measures, and what it answers: one JSON line each way.

After an answer come as many bytes as it says: two arrays of int64, when queries were due and how
long they took. Who asks is ``process``, who answers is ``child``.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from littoral.wire.control import Tried
from littoral_serve.bench.result import Memory, Operator, WarmUp

MAX_BYTES: Final = 4 * 2**20

Do = Literal["load", "warm", "closed", "served", "selftest", "operators"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a model is run; its files are open under the numbers beside it."""

    backend: str
    threads: int
    model: int
    answers: int  # where answers are written to
    manifest: int | None = None
    variant: str | None = None
    golden: tuple[int, ...] = ()  # inputs and outputs
    hardware: str | None = None  # whose budgets the self-test has
    parent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    do: Do
    seconds: float = 0.0
    least: int = 10
    most: int = 1_000_000
    runs_per_query: int = 1
    per_s: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an order; what the order has nothing to do with is None."""

    code: str | None = None  # an error's …
    error: str = ""  # … and its words
    loaded: "Loaded | None" = None
    warmed: "Warmed | None" = None
    tried: Tried | None = None
    operators: tuple[Operator, ...] = ()
    note: str = ""
    queries: int = 0  # 16 bytes each follow
    elapsed_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    runtime_ms: float
    load_ms: float
    first_ms: float
    batch: int
    inputs: str  # golden or random
    runtime: str
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    warm_up: WarmUp
    memory: Memory
