"""Takes what devices say, over whatever channel, into the database: each thing once.

The channel has proven which device speaks. A message that speaks for another device or for
an earlier incarnation is refused; one that cannot be stored is counted as lost, so that it
holds nothing back. What follows is an ``Effects``, true once the transaction is committed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, update
from sqlalchemy.exc import SQLAlchemyError

from littoral.wire.messages import Key, Report, Status
from littoral.wire.telemetry import Telemetry
from littoral_console import identities, outcomes, renewal, storing, streams
from littoral_console import tables as t
from littoral_console.director import Director
from littoral_console.engines import is_outage

Said = Status | Report | Telemetry
CARRIED: Final = "carried"  # as a channel: by somebody's hand, on a medium

_STREAMS: Final = 256  # of one device's status
_NOT_STORED: Final = (ValueError, OverflowError, SQLAlchemyError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message, and the device that the channel says it came from."""

    device: str
    channel: str  # mqtt, https, carried
    said: Said
    replayed: bool = False  # a retained status: true, and said some time ago


@dataclass(slots=True)
class Effects:
    """What the caller does after the commit."""

    acks: dict[str, dict[str, int]] = field(default_factory=dict)  # by device and stream
    desired: set[str] = field(default_factory=set)  # devices whose document is a new one
    wanted: set[str] = field(default_factory=set)  # devices that shall have a newer key, still
    frozen: set[str] = field(default_factory=set)  # devices that are heard no more from now on
    superseded: bool = False  # a certificate is worth nothing any more
    moved: set[str] = field(default_factory=set)  # whose earlier one may hold a broker's connection
    refused: int = 0
    stored: int = 0  # reports that were not known
    newer: bool = False  # of a status that was carried: no later one was known


def apply(
    connection: Connection, heard: Sequence[Heard], *, director: Director, now_ms: int
) -> Effects:
    """Take ``heard`` in order; one that is refused or not understood stops none of the others."""
    try:
        with connection.begin_nested():
            batch = _Batch(connection, director, now_ms)
            for one in heard:
                batch.take(one)
            batch.seen()
    except _NOT_STORED as e:
        if is_outage(e):
            raise
        return _apply_each(connection, heard, director=director, now_ms=now_ms)
    return batch.effects


def _apply_each(
    connection: Connection, heard: Sequence[Heard], *, director: Director, now_ms: int
) -> Effects:
    """Do the same, slowly: each in a savepoint, because one of them cannot be stored."""
    batch = _Batch(connection, director, now_ms)
    for one in heard:
        try:
            with connection.begin_nested():
                batch.take(one)
        except _NOT_STORED as e:
            if is_outage(e):  # nobody's words are lost by that
                raise
            _log.warning("%s: %s is not understood: %s", one.device, type(one.said).__name__, e)
            batch.pass_over(one)
    batch.seen()
    return batch.effects


class _Batch:
    """Messages of one transaction."""

    def __init__(self, connection: Connection, director: Director, now_ms: int) -> None:
        self.effects = Effects()
        self._connection, self._director, self._now_ms = connection, director, now_ms
        self._devices: dict[str, Row[*tuple[Any, ...]] | None] = {}
        self._seen: set[str] = set()

    def take(self, one: Heard) -> None:
        device, incarnation = _speaker(one.said)
        held = self._device(one.device)
        if device != one.device or identities.denial(held, device, incarnation) is not None:
            _log.warning("%s: speaks for %s, incarnation %d", one.device, device, incarnation)
            self.effects.refused += 1
            return
        match one.said:
            case Status():
                self._status(one, one.said)
            case Report():
                # Also under a key that was taken: a spool that is restored counts anew.
                self._first(one.said.key)
                self.effects.stored += storing.report(
                    self._connection, one.said, now_ms=self._now_ms
                )
            case Telemetry():
                if self._first(one.said.key):
                    storing.telemetry(self._connection, one.said, now_ms=self._now_ms)
        if not one.replayed and one.channel != CARRIED:
            self._seen.add(one.device)

    def pass_over(self, one: Heard) -> None:
        """Let a message that cannot be stored hold back none that follows it."""
        self.effects.refused += 1
        if isinstance(one.said, Status) or one.said.key.sequence >= storing.MOST:
            return
        if self._first(one.said.key):
            streams.lose(self._connection, one.said.key)

    def seen(self) -> None:
        """Remember that whoever spoke is there."""
        if self._seen:
            self._connection.execute(
                update(t.devices)
                .where(t.devices.c.id.in_(self._seen))
                .values(last_seen_ms=self._now_ms)
            )

    def _device(self, device: str) -> Row[*tuple[Any, ...]] | None:
        if device not in self._devices:
            self._devices[device] = identities.state(self._connection, device)
        return self._devices[device]

    def _first(self, key: Key) -> bool:
        taken = streams.take(self._connection, key)
        self._acknowledge(key, taken.acked)
        return taken.first

    def _acknowledge(self, key: Key, acked: int) -> None:
        self.effects.acks.setdefault(key.device, {})[key.stream] = acked

    def _status(self, one: Heard, said: Status) -> None:
        if one.channel == CARRIED:
            self._carried(one.device, said)
            return
        if not said.online:  # the last will: it says that alone
            self._change(one.device, online=False)
            return
        known = self._receipts(one.device)
        if one.replayed and said.receipts < known:
            return  # what was carried here was said after it
        if not one.replayed and self._identity(one, said):
            return
        how = {"online": True, "channel": one.channel, "carried_ms": None, "brought_ms": None}
        self._keep(one.device, said, receipts=max(said.receipts, known), **how)

    def _carried(self, device: str, said: Status) -> None:
        """Take a status that was carried, unless that one or a later one is known."""
        if said.receipts <= self._receipts(device):
            return
        self.effects.newer = True
        said_ms = storing.whole(said.time_ms)
        how = {"carried_ms": said_ms, "brought_ms": self._now_ms}
        self._keep(device, said, receipts=said.receipts, **how)

    def _receipts(self, device: str) -> int:
        """Return the number of the newest receipt of the device that is known."""
        held = self._device(device)
        return 0 if held is None else held.receipts or 0

    def _keep(self, device: str, said: Status, *, receipts: int, **how: Any) -> None:  # noqa: ANN401
        """Keep how the device is, as it says, and ``how`` that came here."""
        self._devices.pop(device, None)  # this may change it
        self._change(
            device,
            **how,
            receipts=storing.whole(receipts),
            software=said.software[:64],
            hardware=[name[:32] for name in said.hardware[:16]],
            trust=said.trust,
            clock=said.clock,
            serving=said.serving,
            heard_every_s=storing.whole(said.heard_every_s),
            board=storing.board(said.board),
            unreached=storing.unreached(said.unreached),
        )
        now_ms = self._now_ms
        storing.models(self._connection, device, said.models, now_ms=now_ms)
        outcomes.heard_status(self._connection, said, now_ms=now_ms)
        if self._director.reported(self._connection, device, said.director, now_ms=now_ms):
            self.effects.desired.add(device)
        for stream, sequence in list(said.spool.items())[:_STREAMS]:
            key = Key(
                device=said.device,
                incarnation=said.incarnation,
                stream=stream,
                sequence=storing.whole(sequence),
            )
            if (acked := streams.oldest(self._connection, key)) is not None:
                self._acknowledge(key, acked)

    def _identity(self, one: Heard, said: Status) -> bool:
        """Take note of who says it, and by which certificate; return whether that froze it."""
        device = one.device
        held = self._devices.pop(device)  # all of this may change it
        if held is None:
            return False
        if identities.sighted(self._connection, held, said.instance, now_ms=self._now_ms):
            self.effects.frozen.add(device)
            return True
        certificate, now_ms = said.certificate, self._now_ms
        if held.renewal is not None and held.renewal == certificate:
            self.effects.superseded |= renewal.heard(
                self._connection, device, certificate, now_ms=now_ms
            )
            if one.channel != "mqtt":  # where connecting has ended the one of before
                self.effects.moved.add(device)
        elif held.rotate_ms is not None:
            self.effects.wanted.add(device)
        return False

    def _change(self, device: str, **values: Any) -> None:  # noqa: ANN401
        self._connection.execute(update(t.devices).where(t.devices.c.id == device).values(values))


def _speaker(said: Said) -> tuple[str, int]:
    if isinstance(said, Status):
        return said.device, said.incarnation
    return said.key.device, said.key.incarnation
