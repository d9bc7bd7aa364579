"""What of the fleet's trust ends soon, as lines above the overview."""

from collections.abc import Iterable
from datetime import UTC, datetime

from littoral_console.endings import Ending
from littoral_console.pages.alarms import Alarm

_MOST = 3  # names in one line
_ONLINE = frozenset({"snapshot", "timestamp"})


def ending(found: Iterable[Ending], *, now_ms: int) -> tuple[Alarm, ...]:
    """Return the alarms of what ended, and of what ends while people can still meet."""
    known = list(found)
    over = [one.what for one in known if one.urgency == "over"]
    soon = [one for one in known if one.urgency == "soon"]
    alarms = []
    if over:
        text = f"{_names(over)} ended: devices go on with what they run, and take nothing new"
        alarms.append(Alarm(text=text, where="/releases"))
    if soon:
        days = (soon[0].when - datetime.fromtimestamp(now_ms / 1000, UTC)).days
        left = "within a day" if days < 1 else f"in {days} {'day' if days == 1 else 'days'}"
        ours = all(one.what in _ONLINE for one in soon)
        deed = "look into the console's log: it signs them daily" if ours else "sign anew in time"
        names = _names([one.what for one in soon])
        alarms.append(Alarm(text=f"{names} ends {left}: {deed}", where="/releases", tone="busy"))
    return tuple(alarms)


def _names(names: list[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
