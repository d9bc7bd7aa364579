"""Boards from a terminal and over REST: a real console, and a device that says how it is."""

import time
from dataclasses import replace

import pytest

from console.climate import WHAT, passed, reading
from console.shell import Shell
from littoral.wire.board import Reading
from simulators.console import ConsoleProcess, DeviceSimulator

MIN_MS = 60_000


@pytest.fixture
def hot(console: ConsoleProcess) -> str:
    """Enrol a device whose board told an hour in four windows, and return its name."""
    device = DeviceSimulator(console, f"hot-{time.monotonic_ns()}")
    now_ms = int(time.time() * 1000)
    windows = []
    for n in range(4):
        start_ms = now_ms - (4 - n) * 15 * MIN_MS + 1000
        told = device.telemetry([100.0], start_ms=start_ms, sequence=n + 1)
        seen = passed("quay-cam-2", start_ms, start_ms + 15 * MIN_MS)
        windows.append(replace(told, duration_ms=15 * MIN_MS, board=seen))
    board = replace(WHAT["quay-cam-2"], now=reading("quay-cam-2", now_ms))
    device.post(status=device.status(board=board), telemetry=windows)
    return device.name


def test_a_device_is_shown_with_its_board(shell: Shell, hot: str) -> None:
    said = shell("devices", "show", hot).stdout
    assert "board: Raspberry Pi 5 Model B Rev 1.0" in said
    assert "of 8.45 GB" in said
    assert "hot within the last hour: As hot as where the board slows itself" in said
    found = shell.json("devices", "show", hot)
    assert found["device"]["board"]["alarms"] == ["hot", "throttled"]
    assert found["board"]["window"]["samples"] == 15


def test_a_device_that_never_told_of_a_board_is_shown_too(
    shell: Shell, console: ConsoleProcess
) -> None:
    device = DeviceSimulator(console, f"mute-{time.monotonic_ns()}")
    done = shell("devices", "show", device.name)
    assert (done.returncode, "board" in done.stdout) == (0, False)
    assert shell.json("devices", "show", device.name)["board"] is None


def test_windows_are_listed_and_merged_over_steps(
    shell: Shell, console: ConsoleProcess, hot: str
) -> None:
    said = shell("telemetry", "--board", "--to", hot).stdout
    assert said.count(hot) == 4
    assert "of 15 readings" in said
    found = shell.json("telemetry", "--board", "--to", hot)["boards"]
    assert len(found) == 4
    whole = console.rest.get("telemetry/boards", to=hot, step_s=30 * 86400)
    assert sum(one["window"]["samples"] for one in whole) == 60
    assert len(whole) < 4


def test_a_reading_that_a_status_brings_is_told_until_there_is_a_window(
    shell: Shell, console: ConsoleProcess
) -> None:
    device = DeviceSimulator(console, f"new-{time.monotonic_ns()}")
    board = replace(WHAT["quay-cam-1"], now=Reading(temperature_c=44.4))
    device.post(status=device.status(board=board))
    assert "temperature: 44.4 °C" in shell("devices", "show", device.name).stdout
