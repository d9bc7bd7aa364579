"""When a device may be bothered: maintenance windows of its own place's time, as times of UTC.

``mon-fri 01:00-05:00`` is open while a clock on the device's wall shows those times on those
days, whatever the law does to clocks there: an hour that comes twice is open twice, one that is
left out is not open at all. A window that ends before it begins goes on into the next day.
Values in, values out: no clock, no file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Self

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A window of a week may fall into the hour that is left out, and then comes a week later.
AHEAD: Final = timedelta(days=15)

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_FORM: Final = re.compile(r"([a-z,-]+) (\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Times of some days; each counts from the midnight with which its day begins."""

    days: frozenset[int]  # 0 is Monday
    begins: timedelta
    ends: timedelta  # after a day and more, where it goes on into the next

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``text``, as ``sat,sun 22:00-04:00``, says. Raises ValueError."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(
                f"expected days and times, as 'mon-fri 01:00-05:00', found {text[:60]!r}"
            )
        begins, ends = _time(text, *found.group(2, 3)), _time(text, *found.group(4, 5))
        if begins in {ends, _DAY}:
            raise ValueError(f"{text!r} is no time at all; a whole day is 00:00-24:00")
        return cls(
            days=frozenset(_days(text, found[1])),
            begins=begins,
            ends=ends if ends > begins else ends + _DAY,
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """A time of UTC; its end is the first moment that is not in it."""

    begins: datetime
    ends: datetime


def intervals(
    windows: tuple[Window, ...], zone: tzinfo, *, since: datetime, until: datetime
) -> list[Interval]:
    """Return when ``windows`` are open between two times, in order, none touching another."""
    found: list[Interval] = []
    for opened in sorted(_pieces(windows, zone, since, until), key=lambda one: one.begins):
        if found and opened.begins <= found[-1].ends:
            found[-1] = Interval(found[-1].begins, max(found[-1].ends, opened.ends))
        else:
            found.append(opened)
    return found


def opens(windows: tuple[Window, ...], zone: tzinfo, now: datetime) -> datetime | None:
    """Return when the next window opens; None while one is open, or where there are none."""
    if not windows:
        return None
    now = now.astimezone(UTC)
    ahead = intervals(windows, zone, since=now, until=now + AHEAD)
    if not ahead:
        return now + AHEAD  # a place whose clocks skip this hour each week: look again then
    return None if ahead[0].begins <= now else ahead[0].begins


def _pieces(
    windows: tuple[Window, ...], zone: tzinfo, since: datetime, until: datetime
) -> Iterator[Interval]:
    """Walk the parts of windows within each stretch in which the zone's clocks are not changed."""
    for begins, ends, offset in _stretches(zone, since.astimezone(UTC), until.astimezone(UTC)):
        first = (begins + offset).replace(tzinfo=None) - _DAY  # yesterday's may go on until now
        day = datetime.combine(first.date(), datetime.min.time())
        while day < (ends + offset).replace(tzinfo=None):
            for window in windows:
                if day.weekday() in window.days:
                    opened = (day + window.begins).replace(tzinfo=UTC) - offset
                    closed = (day + window.ends).replace(tzinfo=UTC) - offset
                    if max(opened, begins) < min(closed, ends):
                        yield Interval(max(opened, begins), min(closed, ends))
            day += _DAY


def _stretches(
    zone: tzinfo, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Walk the times between two changes of the zone's clocks, with their lead over UTC."""
    begun = here = since
    offset = _offset(zone, since)
    while here < until:
        ahead = min(here + _HOUR, until)
        after = _offset(zone, ahead)
        if after != offset:
            changed = _change(zone, here, ahead, offset)
            yield begun, changed, offset
            begun, offset = changed, after
        here = ahead
    if begun < until:
        yield begun, until, offset


def _change(zone: tzinfo, before: datetime, after: datetime, offset: timedelta) -> datetime:
    """Return the first whole second at which the zone's lead is no longer ``offset``."""
    before = before.replace(microsecond=0)
    while after - before > _SECOND:
        middle = before + ((after - before) // 2 // _SECOND) * _SECOND
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return (before + _SECOND).replace(microsecond=0)


def _offset(zone: tzinfo, when: datetime) -> timedelta:
    return when.astimezone(zone).utcoffset() or timedelta()


def _time(text: str, hours: str, minutes: str) -> timedelta:
    time = timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) >= 60 or time > _DAY:  # noqa: PLR2004
        raise ValueError(f"{text!r}: expected times from 00:00 to 24:00, found {hours}:{minutes}")
    return time


def _days(text: str, names: str) -> Iterator[int]:
    for part in names.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{text!r}: expected days as 'mon-fri' or 'sat,sun', found {part!r}")
        day, end = DAYS.index(first), DAYS.index(last or first)
        yield day
        while day != end:
            day = (day + 1) % len(DAYS)
            yield day
