"""How a model is to be converted: a TOML file with a default for everything. docs/recipes.md.

Holds what was asked for, and refuses to know how it is done.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from littoral import settings
from littoral.bundle.manifest import Hardware, Task, check_id
from littoral.bundle.preprocessing import Preprocessing
from littoral.bundle.runtimes import Range
from littoral_converter.compress.wanted import MOST_S, Compress, Training
from littoral_converter.targets.wanted import Browser, EdgeTpu, Jetson, Mobile, Serving

MiB: Final = 2**20
MAX_GOLDEN: Final = 1024
_STEPPED: Final = {"int8", "int16x8"}  # kinds of quantizing whose activations are integers
_MOST_TIMES: Final = 1e6  # beyond these a number is a mistake, and timers and JSON end
_MOST_US: Final = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the model takes, where its file does not say it or says it badly."""

    name: str | None = None
    shape: tuple[int, ...] | None = None  # of one sample, without the batch: pins what is dynamic
    layout: str | None = None  # NHWC, NCHW, …; guessed for images when absent
    signature: str | None = None  # of a SavedModel that has several
    preprocessing: Preprocessing | None = None  # of pictures, here and on devices

    def __post_init__(self) -> None:
        if self.shape is not None and not all(0 < n < 2**31 for n in self.shape):
            raise ValueError(f"shape: every dimension is at least 1, found {list(self.shape)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Where in each tf.train.Example of a TFRecord the sample and its class are."""

    x: str | None = None  # the sample's feature; without it one that is usually called so
    y: str | None = None  # the class's, a whole number
    # what bytes hold that are no picture, as tf.io.decode_raw is told it
    dtype: Literal["uint8", "int8", "int16", "uint16", "int32", "float16", "float32", "float64"] = (
        "uint8"
    )
    first_class: int = 0  # the number that the first class bears in y


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which samples the quantizer sees."""

    samples: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples: expected at least 1, found {self.samples}")
        if self.seed < 0:
            raise ValueError(f"seed: expected at least 0, found {self.seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize:
    kind: Literal["int8", "int16x8", "dynamic", "float16", "weights"] = "int8"
    io: Literal["int8", "uint8"] = "int8"  # the model's input and output, where its kind is int8
    allow_float: bool = False  # accept operators that stay in floating point
    # None: those that the model's work allows. In which order they are taken is not asked.
    steps: tuple[Literal["relax", "ranges", "bias", "rounding", "equalise"], ...] | None = None
    keep_float: tuple[str, ...] = ()  # operators, by the names of their outputs: as in reports

    def __post_init__(self) -> None:
        if self.kind != "int8" and self.io != "int8":
            raise ValueError(f"io: {self.io} is for kind int8, found kind {self.kind}")
        if self.kind not in _STEPPED and (self.steps is not None or self.keep_float):
            raise ValueError(f"steps and keep_float are for integers, found kind {self.kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftest:
    """The golden vectors, how far a device may lie from them, and what they may cost it.

    Four output steps: kernels of other processors round at other places, one step a layer or
    so, and the layers' errors partly cancel; a damaged model is off by tens of steps.
    One flipped answer in thirty-two: some vectors are chosen near a tie, where damage shows first.
    """

    count: int | None = None  # None: 32, fewer where inputs are large
    tolerance_steps: float = 4.0  # of the output's scale
    min_top1: float = 0.95
    p95_cpu_us: dict[str, float] = field(default_factory=dict)  # by hardware name
    margin: float = 4.0  # this host's budget is so many times what was measured
    floor_us: float = 1000.0  # and no less: below, a busy machine's caches decide
    memory_bytes: int = 0  # 0: no budget

    def __post_init__(self) -> None:
        if self.count is not None and not 1 <= self.count <= MAX_GOLDEN:
            raise ValueError(f"count: expected 1 to {MAX_GOLDEN}, found {self.count}")
        if not 0 <= self.min_top1 <= 1:
            raise ValueError(f"min_top1: expected 0 to 1, found {self.min_top1}")
        if self.tolerance_steps < 0 or self.margin < 1 or self.floor_us < 0:
            raise ValueError("tolerance_steps and floor_us are at least 0, margin is at least 1")
        if max(self.tolerance_steps, self.margin) > _MOST_TIMES or self.floor_us > _MOST_US:
            raise ValueError(
                f"tolerance_steps and margin are at most {_MOST_TIMES:g}, floor_us {_MOST_US:g}"
            )
        if self.memory_bytes < 0:
            raise ValueError(f"memory_bytes: expected at least 0, found {self.memory_bytes}")
        for name, budget in self.p95_cpu_us.items():
            if name not in get_args(Hardware):
                known = ", ".join(get_args(Hardware))
                raise ValueError(f"p95_cpu_us: no hardware {name!r}; there are: {known}")
            if not 0 < budget <= _MOST_US:
                raise ValueError(
                    f"p95_cpu_us.{name}: expected more than 0, at most {_MOST_US:g}, found {budget}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """What a device must have beside the operators, or it refuses before the first byte."""

    runtime: str | None = None  # as "litert>=2.1" or "litert>=2.1,<3"; None: any that knows them
    memory_bytes: int = 0  # free for programs; 0: it is not asked

    def __post_init__(self) -> None:
        if self.runtime is not None:
            try:
                Range.parse(self.runtime)
            except ValueError as e:
                raise ValueError(f"runtime: {e}") from e
        if self.memory_bytes < 0:
            raise ValueError(f"memory_bytes: expected at least 0, found {self.memory_bytes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """When a converted model is not good enough to be a release."""

    max_accuracy_drop: float | None = None  # None: 0.02, where accuracy can be measured
    min_agreement: float = 0.0  # of the largest output, float and INT8
    mix: bool = True  # where that fails, give operators back their floats until it holds

    def __post_init__(self) -> None:
        for name in ("max_accuracy_drop", "min_agreement"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ValueError(f"{name}: expected a fraction of 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one native step may take before it is stopped."""

    deadline_s: float = 900.0
    address_space_bytes: int = 16 * 1024 * MiB  # TensorFlow maps gigabytes that it never touches

    def __post_init__(self) -> None:
        if not 0 < self.deadline_s <= MOST_S or self.address_space_bytes < MiB:
            raise ValueError(
                f"deadline_s is above 0 and at most {MOST_S:g}, address_space_bytes at least 1 MiB"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    model: str | None = None  # the name; else --name, else the file's
    label: str | None = None  # the version as people say it
    task: Task | None = None  # else told from the output's shape
    input: Input = field(default_factory=Input)
    output: Output = field(default_factory=Output)
    data: Examples = field(default_factory=Examples)
    training: Training = field(default_factory=Training)
    compress: tuple[Compress, ...] = ()  # steps, in order
    calibration: Calibration = field(default_factory=Calibration)
    quantize: Quantize = field(default_factory=Quantize)
    selftest: Selftest = field(default_factory=Selftest)
    requires: Requires = field(default_factory=Requires)
    guard: Guard = field(default_factory=Guard)
    edgetpu: EdgeTpu = field(default_factory=EdgeTpu)
    jetson: Jetson = field(default_factory=Jetson)
    serving: Serving = field(default_factory=Serving)
    browser: Browser = field(default_factory=Browser)
    mobile: Mobile = field(default_factory=Mobile)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.model is not None:
            check_id("model", self.model)


def read(path: Path | None) -> Recipe:
    """Return the recipe in ``path``, the defaults for None.

    Raises:
        SettingsError: A setting is unknown, of the wrong kind or out of range; says which.

    """
    return Recipe() if path is None else settings.read(Recipe, path)
