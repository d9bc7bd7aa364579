"""The board's figures on the wire: few bytes, read back within a step, refused when spoilt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.wire.board import SPREADS, BoardWindow, Reading, window

HOT = Reading(
    temperature_c=81.2,
    accelerator_c=60.04,
    frequency_mhz=1499.6,
    load=3.14,
    memory_free_mib=411.2,
    disk_free_mib=20_000,
    uptime_s=90_000,
    throttled=True,
)
COLD = Reading(
    temperature_c=-12.0,
    accelerator_c=-10.0,
    frequency_mhz=600,
    load=0.02,
    memory_free_mib=1800,
    disk_free_mib=20_001,
    uptime_s=90_060,
    under_voltage=True,
)


def test_a_window_says_least_mean_and_most() -> None:
    found = window([COLD, HOT, HOT])
    assert found is not None
    assert found.temperature_c is not None
    assert (found.temperature_c.low, found.temperature_c.high) == (-12.0, 81.2)
    assert found.temperature_c.mean == pytest.approx(50.13, abs=0.01)
    assert (found.samples, found.throttled, found.under_voltage) == (3, 2, 1)
    assert (found.disk_free_mib, found.uptime_s) == (20_000, 90_000)
    assert window([]) is None


def test_it_takes_some_thirty_bytes_and_comes_back_within_a_step() -> None:
    said = window([COLD] * 8 + [HOT] * 7)
    assert said is not None
    data = said.encode()
    assert len(data) <= 40
    heard = BoardWindow.decode(data)
    for one in SPREADS:
        before, after = getattr(said, one.name), getattr(heard, one.name)
        for part in ("low", "mean", "high"):
            assert getattr(after, part) == pytest.approx(getattr(before, part), abs=one.step * 1.5)
    assert BoardWindow.decode(heard.encode()) == heard


def test_what_a_board_does_not_tell_is_not_there() -> None:
    said = window([Reading(load=0.5)])
    assert said is not None
    heard = BoardWindow.decode(said.encode())
    assert (heard.temperature_c, heard.disk_free_mib) == (None, None)
    assert len(said.encode()) <= 8


def test_nonsense_from_a_sensor_is_held_to_what_there_can_be() -> None:
    said = window([Reading(temperature_c=1e12, load=-5.0, disk_free_mib=1e30)])
    assert said is not None
    heard = BoardWindow.decode(said.encode())
    assert heard.temperature_c is not None
    assert heard.temperature_c.high == 300
    assert heard.load is not None
    assert heard.load.low == 0


@given(st.binary(max_size=60))
def test_whatever_arrives_is_understood_or_refused(data: bytes) -> None:
    try:
        found = BoardWindow.decode(data)
    except ValueError:
        return
    assert found.samples >= 1
    assert found.throttled <= found.samples


def test_cut_short_anywhere_or_followed_by_more_is_refused() -> None:
    said = window([HOT])
    assert said is not None
    data = said.encode()
    for size in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            BoardWindow.decode(data[:size])
    with pytest.raises(ValueError, match="bytes follow"):
        BoardWindow.decode(data + b"\0")
