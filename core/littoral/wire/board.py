"""How the board is on which a device runs: what it is, what it shows now, what a window saw.

Each figure is there only where the board tells it. A ``Board`` stands in the status, as JSON;
a ``BoardWindow`` rides in the telemetry of the same time, in some thirty bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from littoral.wire import varint

MiB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at the board."""

    temperature_c: float | None = None  # the hottest part of the processor
    accelerator_c: float | None = None  # the hottest accelerator
    frequency_mhz: float | None = None  # the mean of all cores
    load: float | None = None  # processes that run or want to, mean of one minute
    memory_free_mib: float | None = None  # what programs may still take
    disk_free_mib: float | None = None  # where the device's data lies
    uptime_s: float | None = None
    throttled: bool = False  # slower than it could be, for heat or lack of power
    under_voltage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the board is, and how it is now."""

    model: str = ""
    boot: str = ""  # another one means that it was started anew
    cores: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    accelerators: tuple[str, ...] = ()  # as the kernel sees them
    runtimes: dict[str, str] = field(default_factory=dict)  # by library, its version
    alarms: tuple[str, ...] = ()  # of this hour: hot, throttled, … as in docs/traffic.md
    now: Reading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Between what a figure was during a window, and its mean."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardWindow:
    """The readings of one window; the counts are of readings."""

    samples: int
    throttled: int = 0
    under_voltage: int = 0
    temperature_c: Spread | None = None
    accelerator_c: Spread | None = None
    frequency_mhz: Spread | None = None
    load: Spread | None = None
    memory_free_mib: Spread | None = None
    disk_free_mib: float | None = None  # the least
    uptime_s: float | None = None  # at the end

    def encode(self) -> bytes:
        """Return: which figures there are, the counts, each spread as low, rise and rise."""
        out = bytearray()
        spreads = [(bit, getattr(self, one.name), one) for bit, one in enumerate(SPREADS)]
        singles = [(bit, getattr(self, one.name), one) for bit, one in _SINGLES]
        varint.write(out, sum(1 << bit for bit, v, _ in spreads + singles if v is not None))
        for count in (self.samples, self.throttled, self.under_voltage):
            varint.write(out, count)
        for _, spread, one in spreads:
            if spread is not None:
                low, mean, high = (one.steps(v) for v in (spread.low, spread.mean, spread.high))
                for step in (low, max(0, mean - low), max(0, high - mean)):
                    varint.write(out, step)
        for _, value, one in singles:
            if value is not None:
                varint.write(out, one.steps(value))
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> "BoardWindow":
        """Read what ``encode`` wrote.

        Raises:
            ValueError: It is cut short, out of range or followed by something.

        """
        there, at = varint.read(data, 0)
        if there >> (len(SPREADS) + len(_SINGLES)):
            raise ValueError("the board tells figures that are not known here")
        counts: dict[str, int] = {}
        for name in ("samples", "throttled", "under_voltage"):
            counts[name], at = varint.read(data, at)
        if not 1 <= counts["samples"] <= MOST_SAMPLES or max(counts.values()) > counts["samples"]:
            raise ValueError("the board's counts do not add up")
        spreads: dict[str, Spread] = {}
        for bit, one in enumerate(SPREADS):
            if there >> bit & 1:
                low, at = varint.read(data, at)
                rise, at = varint.read(data, at)
                more, at = varint.read(data, at)
                steps = (low, low + rise, low + rise + more)
                least, mean, most = (one.value(n) for n in steps)
                spreads[one.name] = Spread(low=least, mean=mean, high=most)
        singles: dict[str, float] = {}
        for bit, one in _SINGLES:
            if there >> bit & 1:
                step, at = varint.read(data, at)
                singles[one.name] = one.value(step)
        if at != len(data):
            raise ValueError("bytes follow the board's window")
        return cls(**counts, **spreads, **singles)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure travels: in whole ``step``s above ``least``."""

    name: str
    step: float
    least: float
    most: float

    def steps(self, value: float) -> int:
        return round((min(max(value, self.least), self.most) - self.least) / self.step)

    def value(self, steps: int) -> float:
        """Return the value of that many steps. Raises ValueError beyond what there can be."""
        value = self.least + steps * self.step
        if value > self.most + self.step:
            raise ValueError(f"{self.name} is out of range")
        return round(value, 2)


MOST_SAMPLES: Final = 10**6
SPREADS: Final = (
    Figure("temperature_c", 0.1, -100, 300),
    Figure("accelerator_c", 0.1, -100, 300),
    Figure("frequency_mhz", 1, 0, 100_000),
    Figure("load", 0.01, 0, 100_000),
    Figure("memory_free_mib", 1, 0, 2**30),
)
_SINGLES: Final = tuple(
    enumerate(
        (Figure("disk_free_mib", 1, 0, 2**40), Figure("uptime_s", 60, 0, 2**36)), len(SPREADS)
    )
)


def window(readings: Iterable[Reading]) -> BoardWindow | None:
    """Return what ``readings``, in the order of time, come to; None of none."""
    seen = list(readings)
    if not seen:
        return None
    spreads: dict[str, Spread] = {}
    for one in SPREADS:
        values = [v for r in seen if (v := getattr(r, one.name)) is not None]
        if values:
            mean = sum(values) / len(values)
            spreads[one.name] = Spread(low=min(values), mean=mean, high=max(values))
    disk = [r.disk_free_mib for r in seen if r.disk_free_mib is not None]
    return BoardWindow(
        samples=len(seen),
        throttled=sum(r.throttled for r in seen),
        under_voltage=sum(r.under_voltage for r in seen),
        disk_free_mib=min(disk, default=None),
        uptime_s=seen[-1].uptime_s,
        **spreads,
    )
