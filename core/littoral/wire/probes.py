"""What a child says of a runtime that it tries: one line of JSON a step, as soon as it is taken.

A runtime may take its process down. So the steps have an order, and where the lines end is where
that happened.
"""

from dataclasses import dataclass
from typing import Final, Literal

from littoral import records

MAX_BYTES: Final = 64 * 1024
_MAX_LINE: Final = 8 * 1024

Runtime = Literal["litert", "edgetpu", "nvidia"]

STEPS: Final[dict[Runtime, tuple[str, ...]]] = {
    "litert": ("import", "load", "run"),
    "edgetpu": ("library", "version", "devices", "litert", "open", "prepare", "run"),
    "nvidia": ("driver", "device", "cuda", "cudnn", "tensorrt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step that was taken, with what was found, or with what went wrong."""

    step: str
    value: str = ""
    error: str | None = None


def read(data: bytes) -> tuple[Step, ...]:
    """Return the steps in what a child wrote; a line that is none ends them."""
    found = []
    for line in data[:MAX_BYTES].splitlines():
        try:
            found.append(records.from_json(Step, line, limit=_MAX_LINE))
        except records.RecordError:
            break
    return tuple(found)


def missing(runtime: Runtime, taken: tuple[Step, ...]) -> str | None:
    """Return the first step that was not taken; None: all were."""
    done = {step.step for step in taken}
    return next((step for step in STEPS[runtime] if step not in done), None)
