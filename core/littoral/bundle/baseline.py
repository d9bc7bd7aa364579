"""How a release's answers were distributed when it was made: what drift is measured against.

The bundle's ``baseline.json`` is a Baseline. It holds counts, no sample.
"""

from dataclasses import dataclass
from typing import Final, Literal

from littoral import records
from littoral.errors import MalformedError, UnsupportedFormatError

FORMAT: Final = 1
MAX_BYTES: Final = 1024 * 1024
MAX_BINS: Final = 256  # they travel as a sketch's do, which has room for ten times as many
QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Of all elements of one output, in real units; quantiles by ``str`` of QUANTILES."""

    name: str
    mean: float
    std: float
    quantiles: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Of the largest output of each sample; bin i holds edges[i] <= value < edges[i + 1]."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    mean: float

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1 or list(self.edges) != sorted(self.edges):
            raise ValueError("edges: expected one more than counts, ascending")
        if len(self.counts) > MAX_BINS or min(self.counts, default=0) < 0:
            raise ValueError(f"counts: expected at most {MAX_BINS}, none below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    format: int
    source: Literal["evaluation", "calibration"]
    samples: int
    outputs: tuple[Distribution, ...]
    answered: tuple[int, ...] | None = None  # how often each class was the answer
    confidence: Confidence | None = None

    def __post_init__(self) -> None:
        if self.samples < 1 or min(self.answered or (), default=0) < 0:
            raise ValueError("samples, answered: expected at least 1, and no count below 0")

    @classmethod
    def from_json(cls, data: bytes) -> "Baseline":
        """Read a bundle's ``baseline.json``.

        Raises:
            MalformedError: It is none.
            UnsupportedFormatError: A later littoral wrote it.

        """
        try:
            found = records.from_json(cls, data, limit=MAX_BYTES)
        except records.RecordError as e:
            raise MalformedError(f"baseline: {e}") from e
        if found.format != FORMAT:
            raise UnsupportedFormatError("baseline", found=found.format, known=FORMAT)
        return found
