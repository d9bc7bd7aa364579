"""A latency sketch: an exponential histogram of fixed scale, merged exactly.

Bucket ``i`` counts the values in [b^i, b^(i+1)) with b = 2^(1/32), which is scale 5 of
OpenTelemetry's exponential histogram. A quantile is answered with the bucket's geometric
middle, so its relative error is at most sqrt(b) - 1 = 1.09 %, after any number of merges.
Percentiles of a fleet are made by merging sketches, never by averaging percentiles.
"""

import math
from collections import defaultdict
from collections.abc import Iterable

from littoral.wire import varint

SCALE = 5
_PER_OCTAVE = 2**SCALE
LOWEST = -640  # b^-640 = 2^-20
_HIGHEST = 1920  # b^1920 = 2^60
BUCKETS = _HIGHEST - LOWEST + 1  # that there are
_LEAST = 2.0**-20  # nothing measured in µs is smaller,
_MOST = 2.0**60  # or greater


def _bound(at: float) -> float:
    """Return the lower bound in µs of bucket ``at``; half of one on, its geometric middle."""
    return float(2 ** (at / _PER_OCTAVE))


class Sketch:
    """Counts of values in µs. Not safe to share between threads."""

    __slots__ = ("_buckets", "sum", "zeros")

    def __init__(self) -> None:
        self._buckets: defaultdict[int, int] = defaultdict(int)
        self.zeros = 0  # values below any that is measured: a clock may step back
        self.sum = 0.0

    @property
    def count(self) -> int:
        return self.zeros + sum(self._buckets.values())

    def record(self, value: float) -> None:
        """Count ``value``."""
        if _LEAST < value < _MOST:
            self._buckets[math.floor(math.log2(value) * _PER_OCTAVE)] += 1
            self.sum += value
        elif value >= _MOST:
            self.record(math.nextafter(_MOST, 0))
        else:
            self.zeros += 1

    def record_ns(self, spans: Iterable[int]) -> None:
        """Count many, which are in nanoseconds: for less than each of them alone would cost."""
        buckets, total = self._buckets, 0.0
        floor, log2 = math.floor, math.log2
        for ns in spans:
            value = ns / 1e3
            if _LEAST < value < _MOST:
                buckets[floor(log2(value) * _PER_OCTAVE)] += 1
                total += value
            else:
                self.record(value)
        self.sum += total

    def merge(self, other: "Sketch") -> None:
        """Add the counts of ``other``: exact, in any order."""
        for i, n in other._buckets.items():  # noqa: SLF001 (of its own class)
            self._buckets[i] += n
        self.zeros += other.zeros
        self.sum += other.sum

    def since(self, earlier: "Sketch") -> "Sketch":
        """Return what was recorded after ``earlier``, which is this one as it was."""
        later = Sketch()
        later.zeros = self.zeros - earlier.zeros
        later.sum = self.sum - earlier.sum
        for i, n in self._buckets.items():
            if n > (before := earlier._buckets.get(i, 0)):  # noqa: SLF001 (of its own class)
                later._buckets[i] = n - before
        return later

    def quantile(self, q: float) -> float:
        """Return the value that a fraction ``q`` of all values does not exceed; 0 when empty."""
        rank = max(1, math.ceil(q * self.count)) - self.zeros
        if rank <= 0 or not self._buckets:
            return 0.0
        for i in sorted(self._buckets):
            rank -= self._buckets[i]
            if rank <= 0:
                return _bound(i + 0.5)
        return _bound(max(self._buckets) + 0.5)

    def buckets(self) -> Iterable[tuple[float, int]]:
        """Walk the upper bound in µs and the count of each bucket that holds any, ascending."""
        for i in sorted(self._buckets):
            yield _bound(i + 1), self._buckets[i]

    def bins(self) -> list[tuple[int, int]]:
        """Return the number and the count of each bucket that holds any, ascending."""
        return sorted(self._buckets.items())

    @classmethod
    def of(cls, *, zeros: int, total: int, bins: Iterable[tuple[int, int]]) -> "Sketch":
        """Return the sketch whose ``sum`` is about ``total``.

        Raises:
            ValueError: A bucket lies out of range, or holds less than nothing.

        """
        sketch = cls()
        sketch.zeros, sketch.sum = zeros, float(total)
        for bucket, n in bins:
            if not LOWEST <= bucket <= _HIGHEST or n < 0:
                raise ValueError("a bucket lies out of range")
            sketch._buckets[bucket] += n
        return sketch

    def encode(self) -> bytes:
        """Return: zeros, rounded sum, number of buckets; then the gap and count of each."""
        out = bytearray()
        varint.write(out, self.zeros)
        varint.write(out, round(self.sum))
        varint.write(out, len(self._buckets))
        at = LOWEST
        for i in sorted(self._buckets):
            varint.write(out, i - at)
            varint.write(out, self._buckets[i])
            at = i
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> "Sketch":
        """Read what ``encode`` wrote.

        Raises:
            ValueError: It is cut short, out of range or followed by something.

        """
        zeros, at = varint.read(data, 0)
        total, at = varint.read(data, at)
        many, at = varint.read(data, at)
        bins = []
        bucket = LOWEST
        for _ in range(many):
            gap, at = varint.read(data, at)
            n, at = varint.read(data, at)
            bucket += gap
            bins.append((bucket, n))
        if at != len(data):
            raise ValueError("bytes follow the sketch")
        return cls.of(zeros=zeros, total=total, bins=bins)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]
