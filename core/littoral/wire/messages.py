"""What devices and the console say to each other, over MQTT 5 and over HTTPS alike.

| topic below ``littoral/devices/<id>/`` | says | body |
|---|---|---|
| ``down/desired`` (retained) | what this device shall run | a director document (littoral.trust) |
| ``down/ack`` | what the console has committed | Acks, JSON |
| ``up/status`` (retained, last will) | what the device is and runs now | Status, JSON |
| ``up/report`` | a change of state, never dropped | Report, JSON |
| ``up/telemetry`` | latency of one window | Telemetry, binary |

A report and a telemetry batch carry (device, incarnation, stream, sequence): sequences count
1, 2, 3 … within a stream, a stream is named anew whenever its counter is lost. The console
inserts that key in the transaction that applies the message and acknowledges after the commit,
cumulatively per stream; only then does the message leave the device's spool. So a replay is
harmless, a gap is seen, and a broker's own acknowledgement means nothing. What the device had to
drop is said by its status: by stream, the lowest sequence that its spool still holds (the next one
to come, when it is empty). The console counts what is missing below that as lost and acknowledges
over it; a gap that the device can still fill holds the acknowledgement back.

Over HTTPS (the device listener; docs/messages.md has the paths) the same bodies travel:
``Post`` up, ``Acks`` down, and the director document by long poll.
"""

import base64
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from littoral import records
from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError
from littoral.wire import varint
from littoral.wire.sketch import Sketch

MAX_BYTES: Final = 64 * 1024
TOPICS: Final = "littoral/devices"

T = TypeVar("T")
Kind = Literal["update", "boot", "journal", "dropped", "clock", "director"]


def topic(device: str, path: str) -> str:
    """Return the topic of ``path`` (as ``up/report``) of ``device``."""
    return f"{TOPICS}/{check_id('device', device)}/{path}"


def split_topic(name: str) -> tuple[str, str]:
    """Return the device and the path that ``topic`` was made of.

    Raises:
        MalformedError: It is no such topic.

    """
    parts = name.split("/", 3)
    if len(parts) != 4 or "/".join(parts[:2]) != TOPICS:  # noqa: PLR2004
        raise MalformedError(f"{name!r} is not a device's topic")
    try:
        return check_id("device", parts[2]), parts[3]
    except ValueError as e:
        raise MalformedError(str(e)) from e


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What makes a message one of its kind."""

    device: str
    incarnation: int
    stream: str
    sequence: int

    def __post_init__(self) -> None:
        check_id("device", self.device)
        check_id("stream", self.stream)
        if self.sequence < 1 or self.incarnation < 1:
            raise ValueError("sequences and incarnations count from 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One step of an update's life, as it happened on the device.

    Events: desired, dropped, removed, fetched, refused, passed, failed, stumbled, healthy, woke.
    """

    model: str
    event: str
    state: str  # after the event
    release: int | None = None  # the candidate's
    manifest: str | None = None
    good: int | None = None  # the release that is proven and to which the device returns
    running: int | None = None  # the release that answers requests now
    code: str | None = None  # why it was refused or failed
    detail: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A change that the console must hear of, exactly once."""

    key: Key
    time_ms: int  # by the device's trusted clock
    kind: Kind  # director: a document of the director was refused, whole
    update: Update | None = None
    detail: str = ""
    code: str | None = None  # why, where no update says it

    def to_json(self) -> bytes:
        return records.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> "Report":
        """Read what ``to_json`` wrote. Raises MalformedError."""
        return _read(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One model on the device."""

    model: str
    state: str
    release: int | None = None  # what answers requests now
    manifest: str | None = None
    variant: str | None = None
    good: int | None = None
    candidate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the device is and runs now; its last will is ``online: false`` and nothing else."""

    device: str
    incarnation: int
    online: bool
    time_ms: int = 0
    software: str = ""  # littoral's version
    hardware: tuple[str, ...] = ()
    models: tuple[Running, ...] = ()
    trust: Literal["token", "package", "first-use"] = "token"
    clock: Literal["floor-only", "system", "signed"] = "floor-only"
    director: int = 0  # version of the document that is believed
    spool: dict[str, int] = field(default_factory=dict)  # by stream, the next sequence it can send
    serving: bool = False  # serve answers on its control socket

    def to_json(self) -> bytes:
        return records.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> "Status":
        """Read what ``to_json`` wrote. Raises MalformedError."""
        return _read(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acks:
    """By stream, the sequence up to which everything is committed."""

    acks: dict[str, int]

    def to_json(self) -> bytes:
        return records.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> "Acks":
        """Read what ``to_json`` wrote. Raises MalformedError."""
        return _read(cls, data)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What an HTTPS-only device sends up in one request; the reply is Acks."""

    status: Status | None = None
    reports: tuple[Report, ...] = ()
    telemetry: tuple[str, ...] = ()  # base64 of encoded Telemetry

    def to_json(self) -> bytes:
        return records.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> "Post":
        """Read what ``to_json`` wrote. Raises MalformedError."""
        return _read(cls, data, limit=4 * 1024 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What an operator hands to a device: a secret, and whom to believe."""

    secret: str
    fleet: str
    root_sha256: str  # of root.json as the console holds it
    console_ca_sha256: str  # of the console CA's certificate, DER

    def encode(self) -> str:
        """Return the token as one word to paste."""
        return "lit1_" + base64.urlsafe_b64encode(records.to_json(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, word: str) -> "Token":
        """Read what ``encode`` wrote. Raises MalformedError."""
        body = word.strip().removeprefix("lit1_")
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except ValueError as e:
            raise MalformedError("the token is cut short or mistyped; paste it whole") from e
        return _read(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollRequest:
    """``POST /enroll``: a key made on the device asks for a name."""

    secret: str
    device: str  # the name it asks for
    serial: str  # of the board, as far as it can tell
    csr: str  # PEM; the console overrides its subject
    hardware: tuple[str, ...]
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The reply: who the device is now, and where to speak."""

    device: str
    fleet: str
    incarnation: int
    certificate: str  # PEM: the device's, then the intermediate's
    device_ca: str  # PEM of the device CA's root, whose digest the root metadata anchors
    broker: str | None  # host:port, mTLS; None: HTTPS alone


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTime:
    r"""``GET /time?nonce=…``: the console's time, for this nonce alone.

    ``signature`` (hex, Ed25519 by the time key that root anchors) is over
    ``b"littoral-time\0" + nonce + b"\0" + str(utc_ms)``, nonce in hex as it was asked.
    """

    nonce: str
    utc_ms: int
    keyid: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    r"""``POST /device/session``: proof of the device's key, for ten minutes of a bearer.

    ``signature`` (base64, ECDSA P-256 SHA-256 by the certificate's key) is over
    ``b"littoral-session\0" + nonce``, where the nonce came from ``GET /device/nonce``.
    """

    nonce: str
    certificate: str  # PEM chain
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    bearer: str
    expires_s: float


def _read(cls: type[T], data: bytes, limit: int = MAX_BYTES) -> T:
    try:
        return records.from_json(cls, data, limit=limit)
    except records.RecordError as e:
        raise MalformedError(f"{cls.__name__.lower()}: {e}") from e


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
