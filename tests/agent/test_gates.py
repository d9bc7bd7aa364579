"""What has to be passed before something begins: windows by the trusted clock, a month's bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from littoral.errors import ClosedError, MeteredError, OverAllowanceError
from littoral_agent import gates
from littoral_agent.gates import Gates
from littoral_agent.settings import Settings

NIGHT = ("mon-sun 01:00-05:00",)


@dataclass
class Clock:
    now: datetime
    sure: bool = True


def made(tmp_path: Path, clock: Clock, settings: Settings) -> Gates:
    path = tmp_path / "usage.json"
    return gates.of(settings, path, now=lambda: clock.now, sure=lambda: clock.sure)


def test_without_settings_all_is_open(tmp_path: Path) -> None:
    found = made(tmp_path, Clock(datetime(2026, 11, 21, tzinfo=UTC), sure=False), Settings())
    found.check_window()
    found.check_bytes(10**12)
    assert (found.usage, found.rate) == (None, None)
    assert not list(tmp_path.iterdir())


def test_a_window_is_the_zones(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 7, 1, 22, 59, tzinfo=UTC))  # 00:59 in Berlin
    found = made(tmp_path, clock, Settings(windows=NIGHT, zone="Europe/Berlin"))
    with pytest.raises(ClosedError, match=r"opens at 2026-07-02 01:00 CEST \(23:00 UTC\)") as e:
        found.check_window()
    assert e.value.until == datetime(2026, 7, 1, 23, tzinfo=UTC)
    clock.now = e.value.until
    found.check_window()


def test_who_does_not_know_the_time_takes_no_window_for_open(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 7, 1, 2, tzinfo=UTC), sure=False)
    found = made(tmp_path, clock, Settings(windows=NIGHT, zone="UTC"))
    with pytest.raises(ClosedError, match="nobody has told this device the time") as e:
        found.check_window()
    assert e.value.until is None
    clock.sure = True
    found.check_window()


def test_a_months_bytes_are_those_of_the_settings(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 7, 1, 2, tzinfo=UTC))
    found = made(tmp_path, clock, Settings(bytes_per_month=1000, max_rate_bytes_per_s=5000))
    found.check_bytes(1000)
    with pytest.raises(OverAllowanceError):
        found.check_bytes(1001)
    assert found.rate is not None
    assert found.rate.took(10_000) == pytest.approx(1.0, abs=0.1)


def test_what_is_all_here_needs_no_bytes(tmp_path: Path) -> None:
    found = made(tmp_path, Clock(datetime(2026, 7, 1, tzinfo=UTC)), Settings(bytes_per_month=1000))
    assert found.usage is not None
    list(found.usage.counted(iter([bytes(1000)]), expected=1000))
    found.check_bytes(0)


def test_another_network_is_waited_for_as_long_as_is_set(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 7, 1, 2, tzinfo=UTC))
    found = made(tmp_path, clock, Settings(metered="yes", metered_wait_s=7200.0))
    with pytest.raises(MeteredError, match="until 2026-07-01 04:00 UTC") as e:
        found.check_network(None)
    assert e.value.until == datetime(2026, 7, 1, 4, tzinfo=UTC)
    until_ms = int(e.value.until.timestamp() * 1000)
    clock.now += timedelta(hours=1)
    with pytest.raises(MeteredError, match="04:00") as e:
        found.check_network(until_ms)  # which does not move
    clock.now += timedelta(hours=1)
    found.check_network(until_ms)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(metered="no"),
        Settings(metered="yes", metered_wait_s=0.0),
        Settings(metered="yes", bytes_per_month=1000),  # which says what may come
        Settings(),  # this machine's own network is none
    ],
)
def test_who_need_not_wait_for_another_network_does_not(tmp_path: Path, settings: Settings) -> None:
    clock = Clock(datetime(2026, 7, 1, 2, tzinfo=UTC))
    made(tmp_path, clock, settings).check_network(None)


def test_another_network_may_be_waited_for_without_an_end(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 7, 1, 2, tzinfo=UTC))
    found = made(tmp_path, clock, Settings(metered="yes", metered_wait_s=float("inf")))
    with pytest.raises(MeteredError, match="waits for another one, or for a stick") as e:
        found.check_network(None)
    assert e.value.until is None


def test_the_systems_zone_is_read_from_where_systems_keep_it(tmp_path: Path) -> None:
    local = tmp_path / "localtime"
    assert gates.place("", local=local) is UTC, "a system that has none"
    local.write_bytes(b"no zone")
    assert gates.place("", local=local) is UTC
    local.unlink()
    local.symlink_to(Path("/usr/share/zoneinfo/Asia/Kathmandu"))
    when = datetime(2026, 7, 1, tzinfo=UTC)
    nepal = ZoneInfo("Asia/Kathmandu").utcoffset(when)
    assert when.astimezone(gates.place("", local=local)).utcoffset() == nepal
