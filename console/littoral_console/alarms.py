"""What somebody should look at now: lines above the overview, and the same for programs. Pure.

Each names the page that helps. An update that a device refused, or that failed on it, is none:
the device did what it should.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from littoral_console.agreement import Agreement, agreements
from littoral_console.endings import Ending
from littoral_console.health import symptoms
from littoral_console.outcomes import FELL_BACK
from littoral_console.queries import Device

Kind = Literal["forgery", "ending", "frozen", "not-as-wanted", "unreached", "board", "claim"]

_MOST: Final = 3  # names in one line
_ONLINE: Final = frozenset({"snapshot", "timestamp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    kind: Kind
    text: str
    where: str  # the page of this console that helps
    tone: Literal["busy", "bad"] = "bad"
    devices: tuple[str, ...] = ()


def alarms(
    devices: Iterable[Device],
    *,
    endings: Iterable[Ending],
    claims: int,
    now_ms: int,
    aside: Sequence[str] = (),
) -> tuple[Alarm, ...]:
    """Return what is the matter with the fleet, the worst first.

    ``claims`` are those that wait; ``aside`` is what was forged and lies in DATA/set-aside.
    """
    known = [device for device in devices if device.revoked_ms is None]
    return (
        *_forgeries(aside),
        *_endings(list(endings), now_ms=now_ms),
        *_frozen(known),
        *_not_as_wanted(known),
        *_unreached(known),
        *_boards(known),
        *_claims(claims),
    )


def _forgeries(names: Sequence[str]) -> tuple[Alarm, ...]:
    if not names:
        return ()
    text = (
        f"{_names(names)}: somebody laid into the repository what nobody signed; it was set aside, "
        "and no device believed it. Look who could, then empty set-aside/ in the console's folder"
    )
    return (Alarm(kind="forgery", text=text, where="/audit"),)


def _endings(known: list[Ending], *, now_ms: int) -> tuple[Alarm, ...]:
    """Return the alarms of what ended, and of what ends while people can still meet."""
    over = [one.what for one in known if one.urgency == "over"]
    soon = [one for one in known if one.urgency == "soon"]
    found = []
    if over:
        text = f"{_names(over)} ended: devices go on with what they run, and take nothing new"
        found.append(Alarm(kind="ending", text=text, where="/releases"))
    if soon:
        days = (soon[0].when - datetime.fromtimestamp(now_ms / 1000, UTC)).days
        left = "within a day" if days < 1 else f"in {days} {'day' if days == 1 else 'days'}"
        ours = all(one.what in _ONLINE for one in soon)
        deed = "look into the console's log: it signs them daily" if ours else "sign anew in time"
        text = f"{_names([one.what for one in soon])} ends {left}: {deed}"
        found.append(Alarm(kind="ending", text=text, where="/releases", tone="busy"))
    return tuple(found)


def _frozen(devices: Iterable[Device]) -> tuple[Alarm, ...]:
    names = [d.id for d in devices if d.frozen_ms is not None]
    if not names:
        return ()
    one = len(names) == 1
    text = (
        f"{names[0]} is frozen: a copy of its key may be about"
        if one
        else f"{len(names)} devices are frozen: copies of their keys may be about"
    )
    where = f"/devices/{names[0]}" if one else "/devices?state=frozen"
    return (Alarm(kind="frozen", text=text, where=where, devices=tuple(names)),)


def _not_as_wanted(devices: Iterable[Device]) -> tuple[Alarm, ...]:
    """Say what devices had proven, and do not do any more although nobody ordered that."""
    found = [
        (device.id, one)
        for device in devices
        for one in agreements(device)
        if _stopped(one, online=device.online)
    ]
    names = tuple(dict.fromkeys(name for name, _ in found))
    if not names:
        return ()
    if len(names) > 1:
        text = f"{len(names)} devices do not run what they had proven, though nobody ordered that"
        where = "/devices?state=attention"
        return (Alarm(kind="not-as-wanted", text=text, where=where, devices=names),)
    said = ", ".join(f"{one.model} {one.verdict.text}" for _, one in found)
    text = f"{names[0]}: {said}, though nobody ordered that"
    return (Alarm(kind="not-as-wanted", text=text, where=f"/devices/{names[0]}", devices=names),)


def _stopped(one: Agreement, *, online: bool) -> bool:
    if one.wanted is None:
        return False
    idle = one.wanted.outcome == "healthy" and not one.wanted.met
    return one.wanted.step == FELL_BACK or (online and idle)


def _unreached(devices: Iterable[Device]) -> tuple[Alarm, ...]:
    """Say which devices are here, and get none of their releases."""
    found = {d.id: d.unreached.code for d in devices if d.online and d.unreached is not None}
    if not found:
        return ()
    if len(found) == 1:
        ((name, code),) = found.items()
        text = f"{name} gets no releases, and tries on: {code}"
        where = f"/devices/{name}"
    else:
        said = ", ".join(f"{many} {code}" for code, many in Counter(found.values()).most_common())
        text = f"{len(found)} devices get no releases, and try on: {said}"
        where = "/devices?state=unreached"
    return (Alarm(kind="unreached", text=text, where=where, devices=tuple(found)),)


def _boards(devices: Iterable[Device]) -> tuple[Alarm, ...]:
    """Say what is the matter with boards, of any number in one line."""
    found = [(device.id, symptoms(device)) for device in devices]
    unwell = [(name, what) for name, what in found if what]
    if not unwell:
        return ()
    names = tuple(name for name, _ in unwell)
    bad = any(one.tone == "bad" for _, what in unwell for one in what)
    if len(unwell) == 1:
        ((name, what),) = unwell
        text = f"{name}: its board is {', '.join(one.text for one in what)}"
        where = f"/devices/{name}"
    else:
        counts = Counter(one.text for _, what in unwell for one in what)
        said = ", ".join(f"{many} {text}" for text, many in counts.most_common())
        text = f"{len(unwell)} boards need a look: {said}"
        where = "/devices?state=board"
    tone: Literal["busy", "bad"] = "bad" if bad else "busy"
    return (Alarm(kind="board", text=text, where=where, tone=tone, devices=names),)


def _claims(boards: int) -> tuple[Alarm, ...]:
    if boards == 0:
        return ()
    who = "A board waits" if boards == 1 else f"{boards} boards wait"
    return (Alarm(kind="claim", text=f"{who} for an operator", where="/claims", tone="busy"),)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
