"""Maintenance windows: what a clock on the wall shows is what counts, also when clocks change."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littoral_agent.windows import AHEAD, DAYS, Window, intervals, opens

BERLIN = ZoneInfo("Europe/Berlin")
# Half an hour's change, a zone that left out a whole day, one of an odd lead, a change at midnight.
ZONES = (
    BERLIN,
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Pacific/Apia"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("America/Havana"),
    UTC,
)
MINUTE = timedelta(minutes=1)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def berlin(text: str, now: datetime) -> datetime | None:
    return opens((Window.parse(text),), BERLIN, now)


def shows(window: Window, wall: datetime) -> bool:
    """Whether a clock that shows ``wall`` is in the window: the definition, word for word."""
    since_midnight = wall - datetime.combine(wall.date(), time())
    today = wall.weekday() in window.days and window.begins <= since_midnight < window.ends
    day = timedelta(days=1)
    yesterday = (wall - day).weekday() in window.days and since_midnight + day < window.ends
    return today or yesterday


def test_a_window_is_open_by_the_clock_on_the_wall() -> None:
    text = "mon-fri 01:00-05:00"  # a Monday in winter, and one in summer
    assert berlin(text, utc(2026, 1, 12, 0, 0)) is None
    assert berlin(text, utc(2026, 1, 11, 23, 59)) == utc(2026, 1, 12, 0, 0)
    assert berlin(text, utc(2026, 7, 13, 2, 59)) is None
    assert berlin(text, utc(2026, 7, 13, 3, 0)) == utc(2026, 7, 13, 23, 0)
    assert berlin(text, utc(2026, 1, 16, 12, 0)) == utc(2026, 1, 19, 0, 0)  # Friday noon


def test_where_there_are_no_windows_it_is_always_open() -> None:
    assert opens((), BERLIN, utc(2026, 1, 1)) is None


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    text = "fri 22:00-02:00"
    assert berlin(text, utc(2026, 1, 17, 0, 30)) is None  # Saturday, 01:30
    assert berlin(text, utc(2026, 1, 17, 1, 0)) == utc(2026, 1, 23, 21, 0)


def test_an_hour_that_is_left_out_is_not_open_and_one_that_comes_twice_is_open_twice() -> None:
    night = (Window.parse("sun 02:00-03:00"),)
    spring = intervals(night, BERLIN, since=utc(2026, 3, 28), until=utc(2026, 3, 30))
    assert spring == []
    autumn = intervals(night, BERLIN, since=utc(2026, 10, 24), until=utc(2026, 10, 26))
    assert [(i.begins, i.ends) for i in autumn] == [(utc(2026, 10, 25, 0), utc(2026, 10, 25, 2))]
    assert berlin("sun 02:00-03:00", utc(2026, 3, 28)) == utc(2026, 4, 5, 0)
    # Half of it is left out: what is shown of it is open.
    half = (Window.parse("sun 01:30-03:30"),)
    (open_,) = intervals(half, BERLIN, since=utc(2026, 3, 28), until=utc(2026, 3, 30))
    assert open_.ends - open_.begins == timedelta(hours=1)


def test_windows_that_touch_are_one() -> None:
    windows = (Window.parse("sat 00:00-24:00"), Window.parse("sun 00:00-24:00"))
    (weekend,) = intervals(windows, BERLIN, since=utc(2026, 3, 25), until=utc(2026, 3, 31))
    assert weekend.ends - weekend.begins == timedelta(hours=47)  # clocks went forward


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon 1:00-2:00",
        "mon 01:00-01:00",
        "mon 24:00-02:00",
        "mon 01:60-02:00",
        "mon 01:00-24:30",
        "mon 01:00-25:00",
        "mon- 01:00-02:00",
        "mon,,tue 01:00-02:00",
        "noday 01:00-02:00",
        "Mon 01:00-02:00",
        "mon 01:00-02:00 ",
        "mon-tue-wed 01:00-02:00",
    ],
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|no time"):
        Window.parse(text)


def test_days_go_round_the_week() -> None:
    assert Window.parse("sat-mon 00:00-24:00").days == {5, 6, 0}
    assert Window.parse("mon,wed-thu 00:00-24:00").days == {0, 2, 3}


_texts = st.builds(
    lambda days, begins, ends: (
        f"{','.join(days)} {begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
    ),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=3),
    st.integers(0, 1439),
    st.integers(0, 1440),
).filter(lambda text: text[-11:-6] != text[-5:])


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(_texts, min_size=1, max_size=3),
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2011, 12, 20), date(2027, 12, 31)),
    minute=st.integers(0, 1439),
    later=st.lists(st.integers(0, 21 * 1440), min_size=1, max_size=20),
)
def test_open_is_what_the_wall_shows(
    texts: list[str], zone: tzinfo, day: date, minute: int, later: list[int]
) -> None:
    windows = tuple(Window.parse(text) for text in texts)
    now = datetime.combine(day, time(), UTC) + minute * MINUTE
    for when in (now, *(now + n * MINUTE for n in later)):
        wall = when.astimezone(zone).replace(tzinfo=None)
        assert (opens(windows, zone, when) is None) == any(shows(w, wall) for w in windows), when


@settings(max_examples=100, deadline=None)
@given(
    text=_texts,
    zone=st.sampled_from(ZONES),
    # Around the changes of these zones, where mistakes would be.
    change=st.sampled_from(
        (utc(2026, 3, 29, 1), utc(2026, 10, 25, 1), utc(2026, 4, 4, 15), utc(2011, 12, 30, 10))
    ),
    minutes=st.integers(-1440, 1440),
)
def test_the_next_opening_is_the_first(
    text: str, zone: tzinfo, change: datetime, minutes: int
) -> None:
    window, now = Window.parse(text), change + minutes * MINUTE
    at = opens((window,), zone, now)
    if at is None:
        return
    assert now < at <= now + AHEAD
    if at != now + AHEAD:
        assert shows(window, at.astimezone(zone).replace(tzinfo=None))
    step = now
    while step < at:
        assert not shows(window, step.astimezone(zone).replace(tzinfo=None)), step
        step += 7 * MINUTE
    before = at - MINUTE
    assert before < now or not shows(window, before.astimezone(zone).replace(tzinfo=None))
