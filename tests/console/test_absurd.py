"""A device whose words are absurd, and well-formed, keeps nobody from looking at the fleet."""

import http
import time
from dataclasses import replace

import pytest
import requests

from littoral.errors import LittoralError
from littoral.wire.board import Board, BoardWindow
from littoral.wire.messages import Report, Running
from littoral.wire.update import Update
from simulators.console import PASSWORD, ConsoleProcess, DeviceSimulator

MOST = 2**53 - 1  # the greatest number that a message may say
LONG = "ä<blink>\u202e\n" * 500
PAGES = ("", "devices", "devices/{}", "rollouts", "rollouts/{}", "history", "telemetry", "releases")
RECORDS = (
    "devices",
    "devices/{}",
    "rollouts",
    "rollouts/{}",
    "fleet",
    "alarms",
    "history",
    "telemetry",
    "telemetry/boards",
    "telemetry/drift",
)
BOARD = Board(
    model=LONG,
    boot=LONG,
    accelerators=(LONG,) * 100,
    runtimes={LONG: LONG},
    alarms=(LONG,) * 100,
)


RUNNING = {
    "late": Running(
        model="digits", state="fetching", candidate=1, waits="window", waits_until_ms=MOST
    ),
    "early": Running(
        model="digits", state="fetching", candidate=1, waits="window", waits_until_ms=0
    ),
    "long": Running(
        model="digits", state=LONG, variant=LONG, manifest=LONG, waits=LONG, release=MOST, good=MOST
    ),
    "beyond": Running(model="digits", state="idle", good=-5, waits="allowance", waits_until_ms=-1),
}


def reports(device: DeviceSimulator, time_ms: int) -> list[Report]:
    """Return one report of each kind of absurdity."""
    found = []
    events, states = (
        ("postponed", "passed", LONG, "refused"),
        ("fetching", "probation", LONG, "idle"),
    )
    for n, left_s in enumerate((1e308, -1e308, 0.0, 3.1e7)):
        figures = {"waits_left_s": left_s, "probation_left_s": left_s, LONG: left_s}
        update = Update(
            model="digits",
            event=events[n],
            state=states[n],
            release=(1, 1, MOST, 1)[n],
            code=LONG,
            detail=LONG,
            figures=figures,
        )
        key = device.key()
        found.append(
            Report(key=key, once=f"{time_ms}/{n}", time_ms=time_ms, kind="update", update=update)
        )
    return found


@pytest.mark.parametrize("name", RUNNING)
def test_whatever_a_device_says_every_page_and_every_record_can_be_had(
    console: ConsoleProcess, name: str
) -> None:
    device = DeviceSimulator(console, f"absurd-{name}")
    rollout = console.push("digits:1", to=device.name)
    spool = {device.stream: MOST, "x" * 32: 1}
    status = device.status(
        RUNNING[name], board=BOARD, heard_every_s=MOST, director=MOST, spool=spool, instance=LONG
    )
    device.post(status=status)
    for time_ms in (0, 1_000, MOST):
        device.post(*reports(device, time_ms), status=status)
    assert wrong_with(console, device.name, rollout) == []


def test_telemetry_of_what_nobody_could_measure_is_not_kept(console: ConsoleProcess) -> None:
    """The sums of two series are merged into one that is too great to be read again."""
    device = DeviceSimulator(console, "absurd-sums")
    rollout = console.push("digits:1", to=device.name)
    device.post(status=device.status(RUNNING["early"]))
    now_ms = int(time.time() * 1000)
    for sequence, stage in enumerate(("invoke", "classes", "confidence"), 1):
        said = device.telemetry((1.0,) * 200, start_ms=now_ms, sequence=sequence, stage=stage)
        (series,) = said.series
        series.sketch.sum = 2.0**62
        device.post(telemetry=[replace(said, series=(series, series))])
    assert wrong_with(console, device.name, rollout) == []


def test_telemetry_of_the_future_is_of_now(console: ConsoleProcess) -> None:
    """Of a clock that ran ahead for a while, and for as long as nothing newer could be seen."""
    device = DeviceSimulator(console, "absurd-future")
    early, late = (
        replace(
            device.telemetry((value,), start_ms=start_ms, sequence=sequence),
            board=BoardWindow(samples=1, uptime_s=60.0 * sequence),
        )
        for sequence, value, start_ms in (
            (1, 9.0, MOST - 60_000),
            (2, 5.0, int(time.time() * 1000) + 1),
        )
    )
    device.post(telemetry=[early])
    device.post(telemetry=[late])
    shown = console.rest.get(f"telemetry/series?to=id={device.name}&step_s=60")
    assert all(0 < one["start_ms"] < (time.time() + 60) * 1000 for one in shown)
    (newest,) = console.rest.get(f"telemetry/boards?to=id={device.name}&step_s=86400")
    assert newest["window"]["uptime_s"] == 120.0


def test_what_a_device_calls_its_figures_is_cut(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "absurd-figures")
    said = device.report("refused", figures={"x" * 50_000: 1.0})
    device.post(said)
    (found,) = console.rest.get(f"history?device={device.name}")
    assert [len(name) for name in found["figures"]] == [32]


def wrong_with(console: ConsoleProcess, device: str, rollout: int) -> list[object]:
    """Return the pages and the records that cannot be had."""
    session = requests.Session()
    url = console.ready["http"]
    session.post(f"{url}/login", data={"username": "admin", "password": PASSWORD})
    wrong: list[object] = []
    for path in PAGES:
        where = path.format(rollout if "rollouts" in path else device)
        found = session.get(f"{url}/{where}", timeout=30)
        if found.status_code != http.HTTPStatus.OK or "/login" in found.url:
            wrong.append((where, found.status_code))
        assert "<blink>" not in found.text
    for path in RECORDS:
        try:
            console.rest.get(path.format(rollout if "rollouts" in path else device))
        except LittoralError as e:
            wrong.append((path, e))
    return wrong
