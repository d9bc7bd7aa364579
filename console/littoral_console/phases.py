"""What an update on one device is called while it goes on, on pages and in terminals. Pure."""

from datetime import UTC, datetime
from typing import Final

_PHASES: Final = {
    "": "asked for",
    "idle": "asked for",
    "fetching": "fetching",
    "testing": "on trial",
    "probation": "in probation",
}


def phase(outcome: str, state: str, until_ms: int | None, *, now_ms: int) -> str:
    """Return how the device fares: its outcome once there is one, else how far it is.

    ``state`` is the device's own word for the model, ``until_ms`` when probation should end.
    """
    if outcome != "pending":
        return outcome
    words = _PHASES.get(state, state)
    if until_ms is None:
        return words
    end, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (until_ms, now_ms))
    at = f"{end:%H:%M} UTC" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M} UTC"
    return f"{words} until {at}" if until_ms > now_ms else f"{words}, due to end at {at}"
