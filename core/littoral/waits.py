"""For what an update waits, and until when, in every terminal and on every page."""

from datetime import UTC, datetime
from typing import Final

from littoral.errors import ClosedError, MeteredError, SpentError

_WHAT: Final = {
    ClosedError.code: "waits for its window",
    MeteredError.code: "waits for a network that is not metered",
    SpentError.code: "waits for next month's bytes",
}
_LAST_MS: Final = 253_402_300_799_000  # the end of 9999, where calendars end


def words(code: str, until_ms: int | None, *, now_ms: int) -> str:
    """Return for what it waits, by its code, and until when, where that is known."""
    what = _WHAT.get(code, "waits")
    if until_ms is None:
        return what
    until = at(until_ms, now_ms)
    return f"{what} until {until}" if until_ms > now_ms else f"{what}, due at {until}"


def at(when_ms: int, now_ms: int) -> str:
    """Return a time of UTC, with its day where that is another one than now's."""
    when, now = moment(when_ms), moment(now_ms)
    return f"{when:%H:%M} UTC" if when.date() == now.date() else f"{when:%Y-%m-%d %H:%M} UTC"


def moment(ms: int) -> datetime:
    """Return a time that somebody else said: what no calendar has is the nearest that it has."""
    return datetime.fromtimestamp(min(max(ms, 0), _LAST_MS) / 1000, UTC)
