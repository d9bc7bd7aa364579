"""The board's clock, disk, memory and power, as the kernel tells them."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral.tree import Tree
from littoral.trust.clock import TrustedClock
from littoral_agent.doctor import condition
from littoral_agent.doctor.finding import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Tree(tmp_path / "data"), tmp_path)


def write(place: Place, path: str, text: str) -> None:
    file = place.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("synchronised", "state", "words"),
    [
        (True, "ok", "set by the network, with no battery"),
        (False, "warn", "not set by the network"),
        (None, "ok", "not behind what signatures have proven"),
    ],
)
def test_a_clock_is_well_when_somebody_sets_it(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    *,
    synchronised: bool | None,
    state: str,
    words: str,
) -> None:
    monkeypatch.setattr(condition, "_synchronised", lambda: synchronised)
    found = condition.clock(place)
    assert found.state == state
    assert words in found.found


def test_who_could_set_the_clock_is_installed_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(condition, "_synchronised", lambda: False)
    assert condition.clock(place).do.startswith("sudo apt-get install systemd-timesyncd\n")
    who = place.root / "usr/lib/systemd/ntp-units.d/80-systemd-timesync.list"
    who.parent.mkdir(parents=True)
    who.touch()
    assert condition.clock(place).do == "sudo timedatectl set-ntp true"


def test_a_clock_in_the_past_is_told_by_what_was_signed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(condition, "_synchronised", lambda: True)
    place.tree.trust.mkdir(parents=True)
    floor = datetime.now(UTC) + timedelta(days=40, minutes=5)
    TrustedClock(place.tree.clock).raise_floor(floor, "key")
    found = condition.clock(place)
    assert found.state == "warn"
    assert "it is 40 days behind what signatures have proven" in found.wrong


def test_the_kernel_says_whether_its_clock_is_set() -> None:
    assert condition._synchronised() in (True, False, None)


def test_a_disk_with_room(place: Place) -> None:
    assert condition.disk(place).state in ("ok", "warn")  # a tmpfs is warned of
    assert str(place.tree.root) in condition.disk(place).found


def test_a_disk_below_its_reserve(small_disk: Path) -> None:
    tree = Tree(small_disk / "data")
    found = condition.disk(Place(tree))
    assert found.state == "fail"
    assert "no model is fetched below 67.1 MB (disk_reserve_bytes)" in found.wrong
    tree.root.mkdir()
    tree.settings.write_text("disk_reserve_bytes = 1000\n")
    found = condition.disk(Place(tree))
    assert found.state == "warn"
    assert "it is in memory (tmpfs)" in found.wrong
    tree.settings.write_text("disk_reserve_bytes = 400000\n")
    assert "not much left" in condition.disk(Place(tree)).wrong


def test_a_disk_that_cannot_be_written_to(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    found = condition.disk(Place(Tree(small_disk / "data")))
    assert found.state == "fail"
    assert "read-only" in found.wrong
    assert f"sudo mount -o remount,rw {small_disk}" in found.do


@pytest.mark.parametrize(
    ("life", "end", "state", "words"),
    [
        ("0x01 0x02", "0x01", "ok", "at most 20 % of its life used"),
        ("0x0a 0x02", "0x01", "warn", "at most 100 %"),
        ("0x0b 0x02", "0x01", "fail", "all of its life used"),
        ("0x01 0x01", "0x03", "fail", "at most 10 %"),
        ("", "", "ok", "tells nothing"),
    ],
)
def test_flash_says_how_old_it_is(
    place: Place, *, life: str, end: str, state: str, words: str
) -> None:
    write(place, "sys/block/mmcblk0/device/life_time", f"{life}\n")
    write(place, "sys/block/mmcblk0/device/pre_eol_info", f"{end}\n")
    found = condition.wear(place)
    assert (found.state, words in found.found) == (state, True)


def test_without_flash_there_is_nothing_to_say(place: Place) -> None:
    assert condition.wear(place).state == condition.memory(place).state == "skip"


@pytest.mark.parametrize(
    ("free_kib", "killed", "state", "words"),
    [
        (400_000, 0, "ok", "410 MB of 950 MB free"),
        (47_000, 0, "ok", "48.1 MB of 950 MB free"),
        (46_000, 0, "warn", "less than 5 % is left for a trial"),
        (400_000, 3, "warn", "the kernel has ended 3 programs"),
    ],
)
def test_memory(place: Place, *, free_kib: int, killed: int, state: str, words: str) -> None:
    write(place, "proc/meminfo", f"MemTotal: 928000 kB\nMemAvailable: {free_kib} kB\n")
    write(place, "proc/vmstat", f"nr_free_pages 1\noom_kill {killed}\n")
    found = condition.memory(place)
    assert (found.state, words in found.found + found.wrong) == (state, True)


@pytest.mark.parametrize(
    ("area", "card", "state"),
    [
        ("/dev/zram0 partition 900000 800000 100", True, "ok"),
        ("/var/swap file 102400 1000 -2", True, "warn"),
        ("/var/swap file 102400 1000 -2", False, "ok"),
        ("/dev/sda2 partition 102400 90000 -2", False, "warn"),
    ],
)
def test_swap_belongs_on_no_card(place: Place, *, area: str, card: bool, state: str) -> None:
    write(place, "proc/swaps", f"Filename Type Size Used Priority\n{area}\n")
    if card:
        write(place, "sys/block/mmcblk0/size", "1\n")
    assert condition.swap(place).state == state


def test_no_swap_is_well(place: Place) -> None:
    assert condition.swap(place).found == "none"


@pytest.mark.parametrize(
    ("bits", "state", "words"),
    [
        ("0", "ok", "51 °C"),
        ("50005", "fail", "its voltage is too low"),
        ("20002", "warn", "it is slowed"),
        ("10000", "warn", "at some moment since the start"),
    ],
)
def test_a_raspberry_pi_tells_heat_and_power(
    place: Place, *, bits: str, state: str, words: str
) -> None:
    write(place, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(place, "sys/class/thermal/thermal_zone0/temp", "51000\n")
    write(place, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits}\n")
    found = condition.supply(place)
    assert (found.state, words in found.found + found.wrong) == (state, True)


def test_a_hot_board_is_told_by_the_rule_that_makes_its_alarm(place: Place) -> None:
    write(place, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(place, "sys/class/thermal/thermal_zone0/temp", "79900\n")
    assert condition.supply(place).state == "ok"
    write(place, "sys/class/thermal/thermal_zone0/temp", "80000\n")
    assert condition.supply(place).wrong == "it is hot: a board slows itself from 80 °C on"
    write(place, "sys/class/thermal/thermal_zone0/trip_point_0_type", "passive\n")
    write(place, "sys/class/thermal/thermal_zone0/trip_point_0_temp", "70000\n")
    assert "from 70 °C on" in condition.supply(place).wrong
