"""What a device measured in one window: binary, for it is most of what a device sends.

It bears a key as every message that leaves the spool, and goes the same ways (wire.messages).
Sketches travel in columns, all gaps between buckets and then all counts as steps from one to
the next, and the whole is deflated: half of what it is else.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError
from littoral.wire import varint
from littoral.wire.board import BoardWindow
from littoral.wire.message import MAX_BYTES
from littoral.wire.messages import Key
from littoral.wire.sketch import BUCKETS, LOWEST, Sketch

_MAGIC: Final = b"LT\x01"
_PLAIN_BYTES: Final = 2 * MAX_BYTES  # inflated,
_PLAIN_LEAST: Final = MAX_BYTES  # what an agent puts into one message, however alike it is
_RATIO: Final = 48  # honest windows inflate to 2 to 13 times their size, bombs to a thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The sketch of one stage of one model's requests in the window."""

    model: str
    release: int
    variant: str
    stage: str
    sketch: Sketch


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One window: of models about 100 bytes a series, of the board about 30."""

    key: Key
    start_ms: int  # a console takes what is later than its arrival as of then
    duration_ms: int
    series: tuple[Series, ...]
    errors: dict[str, int] = field(default_factory=dict)  # by "model/release"
    board: BoardWindow | None = None

    def encode(self) -> bytes:
        """Return ``LT`` 1, then deflated: key, time, errors, series, their columns, the board."""
        out = bytearray()
        _put(out, self.key.device.encode())
        varint.write(out, self.key.incarnation)
        _put(out, self.key.stream.encode())
        for number in (self.key.sequence, self.start_ms, self.duration_ms, len(self.errors)):
            varint.write(out, number)
        for name, n in sorted(self.errors.items()):
            _put(out, name.encode())
            varint.write(out, n)
        _put_series(out, self.series)
        _put(out, b"" if self.board is None else self.board.encode())
        # FILTERED: numbers that repeat little, of which small ones are frequent.
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
        return _MAGIC + packer.compress(out) + packer.flush()

    @classmethod
    def decode(cls, data: bytes) -> "Telemetry":
        """Read what ``encode`` wrote.

        Raises:
            MalformedError: It is something else.

        """
        try:
            return _telemetry(_inflate(data))
        except (ValueError, zlib.error) as e:
            raise MalformedError(f"telemetry: {e}") from e


def _put(out: bytearray, data: bytes) -> None:
    varint.write(out, len(data))
    out += data


def _put_series(out: bytearray, series: Sequence[Series]) -> None:
    gaps, steps = bytearray(), bytearray()
    varint.write(out, len(series))
    for s in series:
        bins = s.sketch.bins()
        _put(out, s.model.encode())
        varint.write(out, s.release)
        _put(out, s.variant.encode())
        _put(out, s.stage.encode())
        for number in (s.sketch.zeros, round(s.sketch.sum), len(bins)):
            varint.write(out, number)
        at, before = LOWEST, 0
        for bucket, n in bins:
            varint.write(gaps, bucket - at)
            varint.write(steps, varint.fold(n - before))
            at, before = bucket, n
    out += gaps + steps


def _inflate(data: bytes) -> bytes:
    if data[:3] != _MAGIC or len(data) > MAX_BYTES:
        raise ValueError("expected 'LT' 1 and at most 64 KiB")
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(_PLAIN_BYTES, _PLAIN_LEAST + _RATIO * len(data))
    plain = unpacker.decompress(data[3:], most)
    if not unpacker.eof:
        raise ValueError(f"it is cut short, or inflates to more than {most} bytes")
    if unpacker.unused_data:
        raise ValueError("bytes follow the telemetry")
    return plain


class _Reader:
    """Takes one thing after the other; raises ValueError where there is none."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self) -> int:
        value, self._at = varint.read(self._data, self._at)
        return value

    def take(self) -> bytes:
        size = self.number()
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise ValueError("a string is cut short")
        self._at += size
        return found

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("bytes follow the telemetry")


@dataclass(frozen=True, slots=True)
class _Head:
    """A series but for its buckets, which are counted here."""

    model: str
    release: int
    variant: str
    stage: str
    zeros: int
    total: int
    buckets: int


def _series(reader: _Reader) -> tuple[Series, ...]:
    heads = [
        _Head(
            model=check_id("model", reader.take().decode()),
            release=reader.number(),
            variant=check_id("variant", reader.take().decode()),
            stage=check_id("stage", reader.take().decode()),
            zeros=reader.number(),
            total=reader.number(),
            buckets=reader.number(),
        )
        for _ in range(reader.number())
    ]
    for head in heads:
        if head.buckets > BUCKETS:
            raise ValueError(f"expected at most {BUCKETS} buckets, found {head.buckets}")
    places = [_run(reader, head.buckets, LOWEST, folded=False) for head in heads]
    counts = [_run(reader, head.buckets, 0, folded=True) for head in heads]
    return tuple(
        Series(
            model=head.model,
            release=head.release,
            variant=head.variant,
            stage=head.stage,
            sketch=Sketch.of(zeros=head.zeros, total=head.total, bins=zip(at, n, strict=True)),
        )
        for head, at, n in zip(heads, places, counts, strict=True)
    )


def _run(reader: _Reader, many: int, start: int, *, folded: bool) -> list[int]:
    """Return ``many`` numbers, each of which stands as its distance from the one before."""
    found = []
    for _ in range(many):
        step = reader.number()
        start += varint.unfold(step) if folded else step
        found.append(start)
    return found


def _telemetry(data: bytes) -> Telemetry:
    reader = _Reader(data)
    device, incarnation = reader.take().decode(), reader.number()
    key = Key(
        device=device,
        incarnation=incarnation,
        stream=reader.take().decode(),
        sequence=reader.number(),
    )
    start_ms, duration_ms = reader.number(), reader.number()
    errors = {reader.take().decode(): reader.number() for _ in range(reader.number())}
    series = _series(reader)
    board = reader.take()
    reader.end()
    return Telemetry(
        key=key,
        start_ms=start_ms,
        duration_ms=duration_ms,
        series=series,
        errors=errors,
        board=BoardWindow.decode(board) if board else None,
    )
