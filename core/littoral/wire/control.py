"""What the agent asks of serve over ``control.sock``: HTTP and JSON, one record a request.

| call | request | reply |
|---|---|---|
| ``POST /control/try`` | Try | Tried: run in a throwaway child; serving is not touched |
| ``POST /control/activate`` | Activate | Activated: loaded beside the old, warmed, switched |
| ``POST /control/deactivate`` | Deactivate | Activated |
| ``POST /control/probe`` | Probe | Tried: the golden vectors, on what serves now |
| ``POST /control/runtime`` | Needs | Runtime: what would run such a variant here |
| ``GET /control/state`` | | Serving |
| ``GET /control/timings?after=N`` | | Timings: the windows above N; those up to N are forgotten |

An error has the status 4xx or 5xx and the body Failure. docs/control.md is made from this module.
"""

from dataclasses import dataclass, field
from typing import Final

MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """Run the candidate's self-test in a child, and say what it cost."""

    model: str
    manifest: str  # sha256
    variant: str
    hardware: str
    deadline_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How a self-test went. ``code`` is None exactly when it passed.

    Else it is a TrialError's, or BackendError's where the runtime refuses the model.
    """

    code: str | None = None
    detail: str = ""
    p95_cpu_us: float | None = None
    peak_bytes: int | None = None
    max_abs: float | None = None
    top1: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    model: str
    manifest: str  # sha256
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deactivate:
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Run the golden vectors on what serves now, between the requests of others."""

    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a variant says of itself before any of its files is here."""

    engine: str
    delegate: str | None = None
    operators: dict[str, int] = field(default_factory=dict)  # by name, the version that is used
    hardware: tuple[str, ...] = ()  # that it is for: an ONNX model's says what it is run with


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What runs such variants here; where nothing does, the Failure is ``backend-missing``."""

    name: str  # litert, onnxruntime
    version: str
    unknown: dict[str, int]  # of the operators: the last version that it knows, 0 for none


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    model: str
    release: int | None = None  # None: nothing runs under this name now
    load_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One model that answers requests. The counts start at zero when it is switched in."""

    model: str
    release: int
    manifest: str
    variant: str
    since_ms: int  # milliseconds since 1970, by serve's clock
    requests: int
    errors: int  # the model's own; a client's mistakes are not counted
    invoke: str  # base64 of the Sketch of its invokes since then, in µs
    instead: str | None = None  # the variant that answers while its accelerator is away
    lost: bool = False  # it is away, and not for a trial or because it is being opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    instance: str  # random, new at every start of serve: another one means that it died
    pid: int
    http: str  # host:port
    models: tuple[Loaded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The sketch of one stage of one model's requests in one window."""

    model: str
    release: int
    variant: str
    stage: str  # queue, preprocess, invoke, postprocess
    sketch: str  # base64, in µs


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    sequence: int  # 1, 2, 3 … within this instance of serve
    start_ms: int
    duration_ms: int
    errors: dict[str, int]  # by "model/release"
    timings: tuple[Timing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    instance: str
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    code: str
    error: str
