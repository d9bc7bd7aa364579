"""What bench is asked, checked before anything is started."""

import os
from dataclasses import dataclass
from typing import Final

from littoral.errors import MisuseError
from littoral_serve.bench.result import Scenario

_MOST_S: Final = 86_400.0
_MOST_THREADS: Final = 256
_RATES: Final = (0.001, 1e6)
SAMPLES: Final = 8  # of a multi-stream query: MLPerf's
SEED: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    scenario: Scenario = "single-stream"
    threads: int | None = 1  # None: as many as measured best
    duration_s: float = 10.0
    samples: int = SAMPLES
    rate: float | None = None
    limit_us: float | None = None
    limit_bytes: int | None = None
    operators: bool = True

    def __post_init__(self) -> None:
        """Raise MisuseError where it does not add up."""
        if not 0 < self.duration_s <= _MOST_S:
            raise MisuseError(
                f"--duration: expected seconds, at most a day, found {self.duration_s:g}"
            )
        if self.threads is not None and not 1 <= self.threads <= _MOST_THREADS:
            raise MisuseError(f"--threads: expected auto, or 1 to {_MOST_THREADS}")
        if not 1 <= self.samples <= 1024:  # noqa: PLR2004 (nobody asks so many at once)
            raise MisuseError("--samples: expected 1 to 1024")
        if self.samples != SAMPLES and self.scenario != "multi-stream":
            raise MisuseError("--samples is for --scenario multi-stream")
        if self.rate is not None and self.scenario != "server":
            raise MisuseError("--rate is for --scenario server")
        if self.rate is not None and not _RATES[0] <= self.rate <= _RATES[1]:
            raise MisuseError("--rate: expected 0.001 to 1000000 queries a second")
        for name, value in (
            ("--latency-limit", self.limit_us),
            ("--memory-limit", self.limit_bytes),
        ):
            if value is not None and not value > 0:
                raise MisuseError(f"{name}: expected more than 0")


def threads(cores: int | None = None) -> tuple[int, ...]:
    """Return the numbers of threads that are tried: 1, 2, 4 … and all cores."""
    cores = cores or len(os.sched_getaffinity(0))
    powers = [2**n for n in range(cores.bit_length()) if 2**n < cores]
    return (*powers, cores)
