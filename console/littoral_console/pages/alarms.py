"""What somebody should look at now: lines above the overview, each with the page that helps."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from littoral_console import queries
from littoral_console.health import symptoms
from littoral_console.pages.reasons import Tone
from littoral_console.queries import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    text: str
    where: str
    tone: Tone = "bad"


def alarms(connection: Connection) -> tuple[Alarm, ...]:
    """Return what is the matter with the fleet, the worst first."""
    devices = queries.devices(connection)
    return (
        *_frozen(devices),
        *_boards(devices),
        *_waiting(queries.claims_waiting(connection)),
    )


def _frozen(devices: Iterable[Device]) -> tuple[Alarm, ...]:
    names = [d.id for d in devices if d.frozen_ms is not None and d.revoked_ms is None]
    if not names:
        return ()
    if len(names) == 1:
        text = f"{names[0]} is frozen: a copy of its key may be about"
        return (Alarm(text=text, where=f"/devices/{names[0]}"),)
    text = f"{len(names)} devices are frozen: copies of their keys may be about"
    return (Alarm(text=text, where="/devices?state=frozen"),)


def _boards(devices: Iterable[Device]) -> tuple[Alarm, ...]:
    """Say what is the matter with boards, of any number in one line."""
    found = [(device.id, symptoms(device)) for device in devices]
    unwell = [(name, what) for name, what in found if what]
    if not unwell:
        return ()
    tone: Tone = "bad" if any(one.tone == "bad" for _, what in unwell for one in what) else "busy"
    if len(unwell) == 1:
        ((name, what),) = unwell
        said = f"{name}: its board is {', '.join(one.text for one in what)}"
        return (Alarm(text=said, where=f"/devices/{name}", tone=tone),)
    counts = Counter(one.text for _, what in unwell for one in what)
    said = ", ".join(f"{many} {text}" for text, many in counts.most_common())
    text = f"{len(unwell)} boards need a look: {said}"
    return (Alarm(text=text, where="/devices?state=board", tone=tone),)


def _waiting(boards: int) -> tuple[Alarm, ...]:
    if boards == 0:
        return ()
    who = "A board waits" if boards == 1 else f"{boards} boards wait"
    return (Alarm(text=f"{who} for an operator", where="/claims", tone="busy"),)
