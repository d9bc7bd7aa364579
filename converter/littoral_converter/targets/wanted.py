"""What a recipe says of each target that is not the CPU, under the target's name."""

from dataclasses import dataclass
from typing import Final, Literal

from littoral_converter.compress.wanted import MOST_S

_RUNTIMES: Final = range(10, 15)  # of libedgetpu; there will be no later one
_OPSETS: Final = range(13, 19)
_MOST_REQUESTS: Final = 1000  # TensorFlow Serving reads no more
_MOST_EXAMPLES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTpu:
    """How edgetpu_compiler is asked, for the target edgetpu."""

    min_runtime: int | None = None  # the oldest Edge TPU runtime that it must run on: 10 to 14
    search: Literal["auto", "always", "never"] = "auto"  # for a part that fits: where all does not
    timeout_s: float = 180.0  # for one attempt

    def __post_init__(self) -> None:
        if self.min_runtime is not None and self.min_runtime not in _RUNTIMES:
            raise ValueError(f"min_runtime: expected 10 to 14, found {self.min_runtime}")
        if not 0 < self.timeout_s <= MOST_S:
            raise ValueError(
                f"timeout_s: expected more than 0, at most {MOST_S:g}, found {self.timeout_s}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Jetson:
    """The ONNX models, for the target jetson."""

    opset: int = 17  # of ONNX; TensorRT 8.6 and later take 17, 8.0 takes 13
    ranges: Literal["minmax", "entropy", "percentile"] = "minmax"  # of what flows, for INT8

    def __post_init__(self) -> None:
        if self.opset not in _OPSETS:
            raise ValueError(f"opset: expected 13 to 18, found {self.opset}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The SavedModel, for the target serving."""

    warm_up: int = 4  # requests of one sample that a server answers first, then one of a batch

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up <= _MOST_REQUESTS:
            raise ValueError(f"warm_up: expected 0 to {_MOST_REQUESTS}, found {self.warm_up}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The TF.js model and its page, for the target browser."""

    weights: Literal["float32", "float16", "uint16", "uint8"] = "float32"  # as they travel
    examples: int = 8  # with their answers, by which the page checks itself

    def __post_init__(self) -> None:
        if not 1 <= self.examples <= _MOST_EXAMPLES:
            raise ValueError(f"examples: expected 1 to {_MOST_EXAMPLES}, found {self.examples}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mobile:
    """What apps are told of the model, for the target mobile."""

    description: str = ""
    author: str = ""
    license: str = ""
