"""What somebody should look at now: lines above the overview, each with the page that helps."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from littoral_console import queries


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    text: str
    where: str
    tone: Literal["busy", "bad"] = "bad"


def alarms(connection: Connection) -> tuple[Alarm, ...]:
    """Return what is the matter with the fleet, the worst first."""
    return _waiting(queries.claims_waiting(connection))


def _waiting(boards: int) -> tuple[Alarm, ...]:
    if boards == 0:
        return ()
    who = "A board waits" if boards == 1 else f"{boards} boards wait"
    return (Alarm(text=f"{who} for an operator", where="/claims", tone="busy"),)
