"""No report is counted twice, whatever was lost between the device and the console."""

import shutil
from pathlib import Path

from littoral.wire.journal import Said
from littoral.wire.messages import Report
from littoral.wire.update import Update
from littoral_agent.reports import Reports
from littoral_agent.spool import Spool
from simulators.console import ConsoleProcess, DeviceSimulator


def opened(tmp_path: Path, device: DeviceSimulator) -> Spool:
    return Spool(
        tmp_path / "spool.db",
        device=device.name,
        incarnation=device.enrolled.incarnation,
        cap_bytes=10_000,
    )


def tell(spool: Spool, *events: str) -> None:
    reports = Reports(spool, now_ms=lambda: 1_000)
    for event in events:
        update = Update(model="digits", event=event, state="idle", release=1, good=1)
        reports.step(Said(id=event, time_ms=1_000, update=update))


def said(spool: Spool) -> tuple[Report, ...]:
    return tuple(Report.from_json(one.body) for one in spool.messages({}, limit=99))


def history(console: ConsoleProcess, device: DeviceSimulator) -> list[str]:
    found = console.rest.get("history", device=device.name)
    return [one["event"] for one in reversed(found)]


def test_what_was_committed_and_not_acknowledged_before_an_enrolment_is_there_once(
    console: ConsoleProcess, tmp_path: Path
) -> None:
    device = DeviceSimulator(console, "again")
    number = console.push("digits:1", to="again")
    spool = opened(tmp_path, device)
    tell(spool, "desired", "fetched", "failed")
    device.post(*said(spool))  # and its answer is lost on the way
    spool.close()
    for _ in range(2):  # times that it is enrolled anew before it hears an answer
        device = DeviceSimulator(console, "again", token=console.token(device="again"))
        spool = opened(tmp_path, device)
        tell(spool, "healthy")
        device.post(*said(spool))
        spool.close()
    spool = opened(tmp_path, device)
    spool.acknowledge(device.post(*said(spool)))
    assert said(spool) == ()
    spool.close()
    assert history(console, device) == ["desired", "fetched", "failed", "healthy"]
    assert console.outcome(number, "again")["outcome"] == "healthy", "nothing old came after it"


def test_two_devices_may_say_the_same(console: ConsoleProcess, tmp_path: Path) -> None:
    for name in ("same-1", "same-2"):
        device = DeviceSimulator(console, name)
        folder = tmp_path / name
        folder.mkdir()
        spool = opened(folder, device)
        tell(spool, "desired")
        device.post(*said(spool))
        spool.close()
        assert history(console, device) == ["desired"]


def test_a_card_that_is_restored_loses_no_report(console: ConsoleProcess, tmp_path: Path) -> None:
    """Its spool counts again what was counted before, and says other things by those numbers."""
    device = DeviceSimulator(console, "restored")
    spool = opened(tmp_path, device)
    tell(spool, "desired")
    spool.close()
    shutil.copytree(tmp_path, copy := tmp_path / "copy", ignore=shutil.ignore_patterns("devices"))
    spool = opened(tmp_path, device)
    tell(spool, "fetched", "passed", "healthy")
    spool.acknowledge(device.post(*said(spool)))
    spool.close()
    spool = opened(copy, device)
    tell(spool, "woke")  # number 2, which was "fetched"
    device.post(*said(spool))  # and its answer is lost
    acks = device.post(*said(spool))
    spool.acknowledge(acks)
    tell(spool, "dropped")
    spool.acknowledge(device.post(*said(spool)))
    assert said(spool) == ()
    spool.close()
    events = ["desired", "fetched", "passed", "healthy", "woke", "dropped"]
    assert history(console, device) == events
