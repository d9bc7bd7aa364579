"""What a device measured in one window: binary, for it is most of what a device sends.

It bears a key as every message that leaves the spool, and goes the same ways (wire.messages).
"""

from dataclasses import dataclass, field

from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError
from littoral.wire import varint
from littoral.wire.messages import MAX_BYTES, Key
from littoral.wire.sketch import Sketch


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
    """The latency of one window: binary, about 150 bytes a series."""

    key: Key
    start_ms: int
    duration_ms: int
    series: tuple[Series, ...]
    errors: dict[str, int] = field(default_factory=dict)  # by "model/release"

    def encode(self) -> bytes:
        """Return: ``LT`` 1, the key, start, duration, the errors, the series; strings by length."""
        out = bytearray(b"LT\x01")
        _put(out, self.key.device.encode())
        varint.write(out, self.key.incarnation)
        _put(out, self.key.stream.encode())
        for number in (self.key.sequence, self.start_ms, self.duration_ms, len(self.errors)):
            varint.write(out, number)
        for name, n in sorted(self.errors.items()):
            _put(out, name.encode())
            varint.write(out, n)
        varint.write(out, len(self.series))
        for s in self.series:
            _put(out, s.model.encode())
            varint.write(out, s.release)
            _put(out, s.variant.encode())
            _put(out, s.stage.encode())
            _put(out, s.sketch.encode())
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> "Telemetry":
        """Read what ``encode`` wrote.

        Raises:
            MalformedError: It is something else.

        """
        try:
            return _telemetry(data)
        except ValueError as e:
            raise MalformedError(f"telemetry: {e}") from e


def _put(out: bytearray, data: bytes) -> None:
    varint.write(out, len(data))
    out += data


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = varint.read(data, at)
    if at + size > len(data):
        raise ValueError("a string is cut short")
    return data[at : at + size], at + size


def _telemetry(data: bytes) -> Telemetry:
    if data[:3] != b"LT\x01" or len(data) > MAX_BYTES:
        raise ValueError("expected 'LT' 1 and at most 64 KiB")
    device, at = _take(data, 3)
    incarnation, at = varint.read(data, at)
    stream, at = _take(data, at)
    sequence, at = varint.read(data, at)
    start_ms, at = varint.read(data, at)
    duration_ms, at = varint.read(data, at)
    errors: dict[str, int] = {}
    many, at = varint.read(data, at)
    for _ in range(many):
        name, at = _take(data, at)
        errors[name.decode()], at = varint.read(data, at)
    series = []
    many, at = varint.read(data, at)
    for _ in range(many):
        model, at = _take(data, at)
        release, at = varint.read(data, at)
        variant, at = _take(data, at)
        stage, at = _take(data, at)
        sketch, at = _take(data, at)
        series.append(
            Series(
                model=check_id("model", model.decode()),
                release=release,
                variant=check_id("variant", variant.decode()),
                stage=check_id("stage", stage.decode()),
                sketch=Sketch.decode(sketch),
            )
        )
    if at != len(data):
        raise ValueError("bytes follow the telemetry")
    return Telemetry(
        key=Key(
            device=device.decode(),
            incarnation=incarnation,
            stream=stream.decode(),
            sequence=sequence,
        ),
        start_ms=start_ms,
        duration_ms=duration_ms,
        series=tuple(series),
        errors=errors,
    )
