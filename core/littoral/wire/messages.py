"""What devices and the console say to each other, over MQTT 5 and over HTTPS alike.

| topic below ``littoral/devices/<id>/`` | says | body |
|---|---|---|
| ``down/desired`` (retained) | what this device shall run | a director document (littoral.trust) |
| ``down/ack`` | what the console has committed | Acks, JSON |
| ``up/status`` (retained, last will) | what the device is and runs now | Status, JSON |
| ``up/report`` | a change of state, never dropped | Report, JSON |
| ``up/telemetry`` | latency and the board in one window | Telemetry, binary |

A report and a telemetry batch carry (device, incarnation, stream, sequence): sequences count
1, 2, 3 … within a stream, a stream is named anew whenever its counter is lost. The console
inserts that key in the transaction that applies the message and acknowledges after the commit,
cumulatively per stream; only then does the message leave the device's spool. So a replay is
harmless, a gap is seen, and a broker's own acknowledgement means nothing. A report that was not
acknowledged before its device was enrolled anew gets another key; it keeps its ``once``, by which
the console applies it one time under whatever keys it comes, and tells it from another under its
key: a spool that is restored from a copy counts anew, until an acknowledgement goes beyond what it
ever counted, and then begins new streams. What the device had to
drop is said by its status: by stream, the lowest sequence that its spool still holds (the next one
to come, when it is empty). The console counts what is missing below that as lost and acknowledges
over it; a gap that the device can still fill holds the acknowledgement back.

Over HTTPS (the device listener; docs/messages.md has the paths) the same bodies travel:
``Post`` up, ``Acks`` down, and the director document by long poll.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError
from littoral.wire.board import Board
from littoral.wire.message import Message
from littoral.wire.update import Update

TOPICS: Final = "littoral/devices"
SAID: Final = ("up/status", "up/report", "up/telemetry", "up/renew")  # by devices to consoles
TOLD: Final = ("down/desired", "down/ack", "down/renew", "down/renewed", "down/denied")
ASK: Final = "up/ask"  # wire.blocks has these two
BLOCK: Final = "down/block"
UP: Final = (*SAID, ASK)  # brokers let pass no other

MOST_ONCE: Final = 64  # characters

BENCH: Final = b"bench"  # at the agent's desk, with a file that holds a Benched

Kind = Literal["update", "boot", "journal", "dropped", "clock", "director", "encoding", "bench"]


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
class Benched(Message):
    """What ``littoral bench`` measured on the device; docs/bench.md says what each figure is."""

    target: str  # what was measured, as it was named there
    model: str | None = None  # None: a file, and no release
    release: int | None = None
    variant: str | None = None
    backend: str
    threads: int
    scenario: str
    board: str  # what the board calls itself, else its processor
    hardware: str | None = None  # as manifests call it
    runtime: str
    figures: dict[str, float]  # p50_us, p90_us, …, rss_bytes: at most 64, of 32 characters each

    def __post_init__(self) -> None:
        if self.model is not None:
            check_id("model", self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Message):
    """A change that the console must hear of, exactly once."""

    key: Key
    once: str  # what makes it one of its kind for ever: it may be numbered anew
    time_ms: int  # by the device's trusted clock
    kind: Kind  # director: a document of it was refused, whole; encoding: one was given up
    update: Update | None = None
    detail: str = ""
    code: str | None = None  # why, where no update says it
    bench: Benched | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.once) <= MOST_ONCE:
            raise ValueError(f"once: expected 1 to {MOST_ONCE} characters")


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
    waits: str | None = None  # why the candidate goes on later: a PostponedError's code
    waits_until_ms: int | None = None  # None: nobody can tell yet
    done_bytes: int | None = None  # of the candidate's files, as they travel; None: none come now …
    total_bytes: int | None = None  # … of so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """Why what is wanted does not come, or cannot be looked at, for some while now."""

    code: str
    detail: str
    since_ms: int  # by the device's trusted clock: nothing has come since then


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Message):
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
    instance: str = ""  # of the agent's process, drawn at its start: two that alternate are a clone
    certificate: str = ""  # by which it is connected: 16 hex digits of its sha256
    receipts: int = 0  # how many it has left on media: a carried status of a lower one is older
    heard_every_s: int = 0  # silence of more than twice that is no pause; 0: it is not known
    board: Board | None = None
    unreached: Unreached | None = None  # None: what is wanted comes, or nothing is wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Acks(Message):
    """By stream, the sequence up to which everything is committed."""

    acks: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Post(Message):
    """What an HTTPS-only device sends up in one request; the reply is Acks."""

    MOST_BYTES = 4 * 1024 * 1024

    status: Status | None = None
    reports: tuple[Report, ...] = ()
    telemetry: tuple[str, ...] = ()  # base64 of encoded Telemetry
