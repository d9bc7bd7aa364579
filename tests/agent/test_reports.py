"""Reports on their way into the spool: once each, and none is lost to a full disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.errors import StorageError
from littoral.wire.journal import Said
from littoral.wire.messages import Report
from littoral.wire.update import Update
from littoral_agent.reports import Reports
from littoral_agent.spool import Spool

STEP = Said(id="1", time_ms=5, update=Update(model="digits", event="healthy", state="idle"))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", device="pi-7", incarnation=1, cap_bytes=1000)
    yield spool
    spool.close()


def told(spool: Spool) -> list[Report]:
    return [Report.from_json(m.body) for m in spool.messages({}, limit=99) if m.kind == "report"]


def test_a_step_is_told_once_however_often_it_is_remembered(spool: Spool) -> None:
    for _ in range(3):
        Reports(spool, now_ms=lambda: 9).step(STEP)
    (report,) = told(spool)
    assert (report.kind, report.update, report.time_ms) == ("update", STEP.update, 5)


def test_the_console_can_tell_one_report_from_another_whatever_their_keys(spool: Spool) -> None:
    reports = Reports(spool, now_ms=lambda: 9)
    reports.step(STEP)
    reports.tell("journal", "lost")
    reports.tell("journal", "lost")
    reports.tell("boot", "hello", once=f"boot/{'1' * 500}")
    spool.add("telemetry", *[lambda _: bytes(600)] * 3)
    reports.dropped()
    assert len({one.once for one in told(spool)}) == 5
    assert {len(one.once) for one in told(spool)} == {32}


def test_what_has_no_id_is_told_each_time(spool: Spool) -> None:
    reports = Reports(spool, now_ms=lambda: 9)
    reports.tell("journal", "lost", code="journal")
    reports.tell("journal", "lost", code="journal")
    reports.tell("boot", "hello", once="boot/1")
    reports.tell("boot", "hello", once="boot/1")
    assert [(r.kind, r.code, r.time_ms) for r in told(spool)] == [
        ("journal", "journal", 9),
        ("journal", "journal", 9),
        ("boot", None, 9),
    ]


def test_what_the_disk_refuses_waits_in_its_order(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = Reports(spool, now_ms=lambda: 9)

    def full(*_: object, **__: object) -> bool:
        raise StorageError("full")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "add", full)
        reports.step(STEP)
        reports.step(STEP)
        reports.tell("boot", "hello")
    assert told(spool) == []
    reports.flush()
    reports.flush()
    assert [r.kind for r in told(spool)] == ["update", "boot"]


def test_dropped_telemetry_is_told_once_somebody_listens(spool: Spool) -> None:
    reports = Reports(spool, now_ms=lambda: 9)
    reports.dropped()
    for _ in range(4):
        spool.add("telemetry", lambda _: bytes(400))
    reports.dropped()
    reports.dropped()
    (report,) = told(spool)
    assert report.kind == "dropped"
    assert report.detail.startswith("2 messages were dropped")


def test_nobody_hears_a_device_of_nobody() -> None:
    reports = Reports(None, now_ms=lambda: 9)
    reports.step(STEP)
    reports.flush()
    reports.dropped()
