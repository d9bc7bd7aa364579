"""One screen that says how the device is, from what was found."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import click
import pytest

from littoral.wire.board import Board, Reading
from littoral.wire.control import Loaded, Serving
from littoral.wire.messages import Running
from littoral.wire.sketch import Sketch
from littoral_agent.identity import Enrolment
from littoral_agent.refusals import Refused
from littoral_agent.showing import lines
from littoral_agent.state import Bounds, Found, Live
from littoral_agent.telemetry import Speed

NOW_S = 1_800_000_000.0
WHO = Enrolment(
    device="pi-7",
    fleet="shore",
    incarnation=2,
    url="https://console:8443",
    broker="console:8883",
    trust="token",
)
BOARD = Board(
    model="Raspberry Pi 4 Model B Rev 1.4",
    cores=4,
    memory_mib=3792,
    accelerators=("Edge TPU, USB, 1-1.2",),
    alarms=("hot", "throttled"),
    now=Reading(
        temperature_c=81.4, load=3.2, memory_free_mib=812, disk_free_mib=20_480, uptime_s=90_000
    ),
)
LIVE = Live(
    pid=41,
    channel="mqtt",
    up=True,
    since_ms=int(NOW_S * 1000) - 7_200_000,
    clock="signed",
    waiting={"report": 0, "telemetry": 2},
    speeds=(Speed(model="digits", release=3, count=9, p50_us=812.4, p95_us=1530.0),),
    board=BOARD,
)


def serving() -> Serving:
    sketch = Sketch()
    sketch.record(5000)
    loaded = [
        Loaded(
            model=model,
            release=release,
            manifest="a" * 64,
            variant="cpu",
            since_ms=0,
            requests=1,
            errors=0,
            invoke=base64.b64encode(invoke.encode()).decode(),
        )
        for model, release, invoke in (
            ("digits", 3, sketch),
            ("faces", 1, sketch),
            ("new", 1, Sketch()),
        )
    ]
    return Serving(instance="i", pid=42, http="127.0.0.1:8501", models=tuple(loaded))


def found(**more: object) -> Found:
    models = [
        Running(model=name, state="idle", release=release, variant="cpu", good=release)
        for name, release in (("digits", 3), ("faces", 1), ("new", 1))
    ]
    fields: dict[str, object] = {
        "enrolment": WHO,
        "certificate_until": "2036-11-18T03:00:00+00:00",
        "agent": LIVE,
        "serve": serving(),
        "director": 17,
        "models": tuple(models),
        "unreadable": (),
    }
    return Found(**{**fields, **more})  # type: ignore[arg-type]


def screen(found: Found) -> str:
    return click.unstyle("\n".join(lines(found, now_s=NOW_S)))


def test_all_is_well_on_one_screen() -> None:
    assert screen(found()).splitlines() == [
        "device    pi-7, incarnation 2",
        "fleet     shore",
        "console   https://console:8443, connected by mqtt, since 2 h",
        "key       certificate until 2036-11-18",
        "agent     process 41",
        "serve     on 127.0.0.1:8501, process 42",
        "document  version 17",
        "clock     set right by the console",
        "waits     0 reports and 2 windows for the console",
        (
            "board     Raspberry Pi 4 Model B Rev 1.4, 81 °C, load 3.20 on 4 cores, "
            "memory 851 MB of 3.98 GB free, disk 21.5 GB free, up 1 d"
        ),
        "          Edge TPU, USB, 1-1.2",
        "          hot, throttled within the last hour",
        "",
        "model   state  serves  good  candidate  variant  p50      p95      of",
        "digits  idle   3       3     -          cpu      812 µs   1.53 ms  the last window",
        "faces   idle   1       1     -          cpu      5.03 ms  5.03 ms  all since it serves",
        "new     idle   1       1     -          cpu      -        -        no requests",
    ]


def test_what_waits_says_until_when() -> None:
    until_ms = round(NOW_S * 1000) + 60_000
    model = Running(model="digits", state="fetching", good=3, candidate=4, waits="window")
    shown = screen(found(models=(replace(model, waits_until_ms=until_ms),)))
    at = datetime.fromtimestamp(until_ms / 1000, UTC)
    assert f"digits  fetching, waits for its window until {at:%H:%M} UTC " in shown
    assert "fetching, waits for its window  " in screen(found(models=(model,)))


def test_what_is_wanted_and_does_not_run_says_why() -> None:
    why = Refused(version=17, release=4, code="short-memory", detail="900 GB of memory")
    shown = screen(found(refused={"digits": why})).splitlines()
    assert shown[-1] == "digits: release 4 does not run here: 900 GB of memory [short-memory]"


def test_what_is_wrong_stands_where_it_belongs_in_red() -> None:
    live = Live(pid=41, channel="mqtt", up=False, code="unreachable", words="the broker hung up")
    shown = "\n".join(lines(found(agent=live, serve=None, unreadable=("digits",)), now_s=NOW_S))
    for words in ("not connected", "the broker hung up [unreachable]", "down"):
        assert click.style(words, fg="red") in shown
    assert "digits: its journal cannot be read" in shown


def test_a_board_that_waits_is_not_told_to_enrol_again() -> None:
    agent = Live(pid=41, code="waiting", words="'pi-7' waits for an operator")
    shown = screen(found(enrolment=None, certificate_until=None, agent=agent, models=()))
    assert "not enrolled yet" in shown
    assert "'pi-7' waits for an operator [waiting]" in shown
    assert "littoral enroll" not in shown


@pytest.mark.parametrize("agent", [None, Live(pid=41)])
def test_who_is_nobody_yet_learns_what_to_do(agent: Live | None) -> None:
    shown = screen(
        found(enrolment=None, certificate_until=None, agent=agent, models=(), serve=None)
    )
    assert "not enrolled; run 'littoral enroll URL --token T'" in shown
    assert "console" not in shown.split("run 'littoral")[0]
    assert "waits" not in shown


def test_it_says_what_may_come_and_how_fast() -> None:
    bounds = Bounds(used_bytes=3_100_000, month_bytes=50_000_000, rate_bytes_per_s=128_000.0)
    row = "files     3.1 MB of 50 MB used this month (of UTC), at most 128 kB a second"
    assert row in screen(found(agent=replace(LIVE, bounds=bounds))).splitlines()
    assert "files" not in screen(found())


def test_what_waits_for_another_network_says_so() -> None:
    waits = Running(
        model="digits",
        state="fetching",
        candidate=4,
        waits="metered",
        waits_until_ms=int((NOW_S + 60) * 1000),
    )
    text = screen(found(models=(waits,)))
    assert "fetching, waits for a network that is not metered until 08:01 UTC" in text
