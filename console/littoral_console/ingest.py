"""Takes what devices say, over whatever channel, into the database: each thing once.

The channel has proven which device speaks. A message that speaks for another device or for
an earlier incarnation is refused; one that cannot be stored is counted as lost, so that it
holds nothing back. What follows is an ``Effects``, true once the transaction is committed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from littoral.bundle.manifest import check_id
from littoral.wire.messages import Key, Report, Running, Status, Telemetry
from littoral.wire.sketch import Sketch
from littoral_console import rollouts, streams
from littoral_console import tables as t
from littoral_console.director import Director

Said = Status | Report | Telemetry

MOST: Final = 2**53  # JSON's whole numbers end there
_STREAMS: Final = 256  # of one device's status
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message, and the device that the channel says it came from."""

    device: str
    channel: str  # mqtt, https
    said: Said
    replayed: bool = False  # a retained status: true, and said some time ago


@dataclass(slots=True)
class Effects:
    """What the caller does after the commit."""

    acks: dict[str, dict[str, int]] = field(default_factory=dict)  # by device and stream
    desired: set[str] = field(default_factory=set)  # devices whose document is a new one
    changed: set[str] = field(default_factory=set)  # devices of which there is news
    refused: int = 0


def apply(
    connection: Connection, heard: Sequence[Heard], *, director: Director, now_ms: int
) -> Effects:
    """Take ``heard`` in order; one that is refused or not understood stops none of the others."""
    effects = Effects()
    for one in heard:
        try:
            with connection.begin_nested():
                _apply(connection, one, effects=effects, director=director, now_ms=now_ms)
        except (ValueError, OverflowError, SQLAlchemyError) as e:
            _log.warning("%s: %s is not understood: %s", one.device, type(one.said).__name__, e)
            effects.refused += 1
            _pass_over(connection, one, effects=effects)
    return effects


def _apply(
    connection: Connection, one: Heard, *, effects: Effects, director: Director, now_ms: int
) -> None:
    incarnation = _known(connection, one.device)
    if incarnation is None or _speaker(one.said) != (one.device, incarnation):
        _log.warning("%s: speaks for %s", one.device, _speaker(one.said))
        effects.refused += 1
        return
    match one.said:
        case Status():
            _status(connection, one, one.said, effects=effects, director=director, now_ms=now_ms)
        case Report() | Telemetry():
            key = one.said.key
            if streams.take(connection, key):
                _store(connection, one.said, now_ms=now_ms)
                effects.changed.add(one.device)
            _acknowledge(connection, key, effects)
            _seen(connection, one, now_ms=now_ms)


def _known(connection: Connection, device: str) -> int | None:
    c = t.devices.c
    found = select(c.incarnation).where(c.id == device, c.revoked_ms.is_(None))
    return connection.scalar(found)


def _speaker(said: Said) -> tuple[str, int]:
    if isinstance(said, Status):
        return said.device, said.incarnation
    return said.key.device, said.key.incarnation


def _acknowledge(connection: Connection, key: Key, effects: Effects) -> None:
    effects.acks.setdefault(key.device, {})[key.stream] = streams.acked(connection, key)


def _pass_over(connection: Connection, one: Heard, *, effects: Effects) -> None:
    """Let a message that cannot be stored hold back none that follows it."""
    if isinstance(one.said, Status) or one.said.key.sequence >= MOST:
        return
    key = one.said.key
    if streams.take(connection, key):
        streams.lose(connection, key)
    _acknowledge(connection, key, effects)


def _seen(connection: Connection, one: Heard, *, now_ms: int, **more: Any) -> None:  # noqa: ANN401
    values = dict(more) if one.replayed else {**more, "last_seen_ms": now_ms}
    if values:
        connection.execute(update(t.devices).where(t.devices.c.id == one.device).values(**values))


# -- what was said


def _store(connection: Connection, said: Report | Telemetry, *, now_ms: int) -> None:
    if isinstance(said, Report):
        _report(connection, said, now_ms=now_ms)
    else:
        _telemetry(connection, said)


def _report(connection: Connection, said: Report, *, now_ms: int) -> None:
    row: dict[str, Any] = {
        **_key(said.key),
        "time_ms": _whole(said.time_ms),
        "received_ms": now_ms,
        "kind": said.kind,
        "detail": said.detail[:2000],
        "figures": {},
    }
    if (u := said.update) is not None:
        row |= {
            "model": check_id("model", u.model),
            "event": u.event[:16],
            "state": u.state[:16],
            "release": _whole(u.release),
            "manifest": u.manifest and u.manifest[:64],
            "good": _whole(u.good),
            "running": _whole(u.running),
            "code": u.code and u.code[:32],
            "detail": (u.detail or said.detail)[:2000],
            "figures": dict(list(u.figures.items())[:64]),
        }
        rollouts.heard_update(connection, said.key.device, u, now_ms=now_ms)
    connection.execute(insert(t.reports).values(**row))


def _telemetry(connection: Connection, said: Telemetry) -> None:
    start = {"start_ms": _whole(said.start_ms)}
    sketches: dict[tuple[str, int, str, str], Sketch] = {}
    for s in said.series:
        named = (s.model, s.release, s.variant, s.stage)
        sketches.setdefault(named, Sketch()).merge(s.sketch)
    for (model, release, variant, stage), sketch in sketches.items():
        connection.execute(
            insert(t.telemetry).values(
                **_key(said.key),
                **start,
                duration_ms=_whole(said.duration_ms),
                model=model,
                release=_whole(release),
                variant=variant,
                stage=stage[:32],
                count=_whole(sketch.count),
                sketch=sketch.encode(),
            )
        )
    for name, many in said.errors.items():
        of, _, number = name.partition("/")
        connection.execute(
            insert(t.model_errors).values(
                **_key(said.key),
                **start,
                model=check_id("model", of),
                release=_whole(int(number)),
                errors=_whole(many),
            )
        )


def _status(
    connection: Connection,
    one: Heard,
    said: Status,
    *,
    effects: Effects,
    director: Director,
    now_ms: int,
) -> None:
    effects.changed.add(one.device)
    if not said.online:  # the last will: it says that alone
        connection.execute(
            update(t.devices).where(t.devices.c.id == one.device).values(online=False)
        )
        return
    _seen(
        connection,
        one,
        now_ms=now_ms,
        online=True,
        channel=one.channel,
        software=said.software[:64],
        hardware=[name[:32] for name in said.hardware[:16]],
        trust=said.trust,
        clock=said.clock,
        serving=said.serving,
    )
    _models(connection, one.device, said.models, now_ms=now_ms)
    if director.reported(connection, one.device, said.director, now_ms=now_ms):
        effects.desired.add(one.device)
    for stream, sequence in list(said.spool.items())[:_STREAMS]:
        key = Key(
            device=said.device,
            incarnation=said.incarnation,
            stream=stream,
            sequence=_whole(sequence),
        )
        if streams.oldest(connection, key):
            _acknowledge(connection, key, effects)


def _models(connection: Connection, device: str, models: Sequence[Running], *, now_ms: int) -> None:
    connection.execute(delete(t.device_models).where(t.device_models.c.device == device))
    for m in {m.model: m for m in models}.values():
        connection.execute(
            insert(t.device_models).values(
                device=device,
                model=check_id("model", m.model),
                state=m.state[:16],
                release=_whole(m.release),
                manifest=m.manifest and m.manifest[:64],
                variant=m.variant and m.variant[:64],
                good=_whole(m.good),
                candidate=_whole(m.candidate),
            )
        )
        rollouts.heard_running(connection, device, m, now_ms=now_ms)


def _key(key: Key) -> dict[str, Any]:
    return {
        "device": key.device,
        "incarnation": key.incarnation,
        "stream": key.stream,
        "sequence": key.sequence,
    }


def _whole(number: int | None) -> Any:  # noqa: ANN401
    if number is not None and not 0 <= number < MOST:
        raise ValueError(f"{number} is out of range")
    return number
