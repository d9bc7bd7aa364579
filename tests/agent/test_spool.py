"""The spool: nothing is lost, nothing is counted twice, whatever the disk and the power do."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from littoral.errors import DiskFullError
from littoral.wire.messages import Key, Report
from littoral_agent import spool as spool_room
from littoral_agent.spool import Spool


def opened(path: Path, *, incarnation: int = 1, cap_bytes: int = 10_000) -> Spool:
    return Spool(path, device="pi-7", incarnation=incarnation, cap_bytes=cap_bytes)


def body(key: Key) -> bytes:
    return f"{key.stream}/{key.sequence}".encode()


def boot(time_ms: int) -> Callable[[Key], bytes]:
    return lambda key: Report(
        key=key, once=f"boot/{time_ms}", time_ms=time_ms, kind="boot"
    ).to_json()


def big(_: Key) -> bytes:
    return bytes(1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = opened(path)
    yield spool
    spool.close()


def test_sequences_count_from_one_in_each_stream_and_go_on_after_a_restart(
    spool: Spool, path: Path
) -> None:
    for _ in range(3):
        spool.add("report", body)
    spool.add("telemetry", body)
    again = opened(path)
    again.add("report", body)
    sent = again.messages({}, limit=10)
    assert [(m.kind, m.sequence) for m in sent] == [
        *(("report", n) for n in (1, 2, 3, 4)),
        ("telemetry", 1),
    ]
    assert all(m.body == f"{m.stream}/{m.sequence}".encode() for m in sent)
    again.close()


def test_a_message_leaves_on_the_acknowledgement_alone(spool: Spool) -> None:
    for _ in range(5):
        spool.add("report", body)
    (stream,) = {m.stream for m in spool.messages({}, limit=10)}
    assert spool.acknowledge({stream: 3, "another": 9}) == 3
    assert [m.sequence for m in spool.messages({}, limit=10)] == [4, 5]
    assert spool.lowest() == {stream: 4}
    assert spool.acknowledge({stream: 3}) == 0
    spool.acknowledge({stream: 5})
    assert spool.lowest() == {stream: 6}
    spool.add("report", body)
    assert [m.sequence for m in spool.messages({}, limit=10)] == [6]


def test_a_spool_that_is_an_older_copy_goes_on_in_new_streams(spool: Spool) -> None:
    """Its card was restored: it counted to 2, and the console has committed up to 7 and 5."""
    for n in range(2):
        spool.add("report", boot(n))
        spool.add("telemetry", body)
    before = {m.kind: m.stream for m in spool.messages({}, limit=9)}
    assert spool.acknowledge({before["report"]: 7, before["telemetry"]: 5}) == 4
    assert spool.messages({}, limit=9) == []
    assert spool.tell_dropped(lambda _, count: b"%d" % count)
    spool.add("telemetry", body)
    found = spool.messages({}, limit=9)
    assert next((m.kind, m.sequence, m.body) for m in found) == ("report", 1, b"2")
    assert not set(before.values()) & {m.stream for m in found}


def test_what_was_sent_is_not_sent_again_until_it_is_asked_for(spool: Spool) -> None:
    for _ in range(4):
        spool.add("report", body)
    first = spool.messages({}, limit=2)
    assert [m.sequence for m in first] == [1, 2]
    after = {first[-1].stream: first[-1].sequence}
    assert [m.sequence for m in spool.messages(after, limit=9)] == [3, 4]


def test_telemetry_is_dropped_oldest_first_reports_never(spool: Spool) -> None:
    for _ in range(20):
        spool.add("report", big)
        spool.add("telemetry", big)
    sent = spool.messages({}, limit=99)
    assert len([m for m in sent if m.kind == "report"]) == 20
    assert [m.sequence for m in sent if m.kind == "telemetry"] == list(range(11, 21))
    (stream,) = {m.stream for m in sent if m.kind == "telemetry"}
    assert spool.lowest()[stream] == 11


def test_what_was_dropped_is_told_once(spool: Spool) -> None:
    def told(key: Key, count: int) -> bytes:
        return f"{key.sequence}: {count} dropped".encode()

    assert not spool.tell_dropped(told)
    for _ in range(13):
        spool.add("telemetry", big)
    assert spool.tell_dropped(told)
    assert not spool.tell_dropped(told)
    assert [m.body for m in spool.messages({}, limit=1)] == [b"1: 3 dropped"]


def test_what_bears_an_id_is_taken_once_even_after_a_restart(spool: Spool, path: Path) -> None:
    assert spool.add("report", body, once="step-1")
    assert not spool.add("report", body, once="step-1")
    again = opened(path)
    assert not again.add("report", body, once="step-1")
    assert again.add("report", body, once="step-2")
    assert [m.sequence for m in again.messages({}, limit=9)] == [1, 2]
    again.close()


def test_marks_are_remembered_with_the_message(spool: Spool, path: Path) -> None:
    assert spool.mark("timings") is None
    spool.add("telemetry", body, marks={"timings": "a 7"})
    again = opened(path)
    assert again.mark("timings") == "a 7"
    again.close()


def test_a_body_that_cannot_be_made_uses_no_sequence(spool: Spool) -> None:
    def fails(_: Key) -> bytes:
        raise ValueError("no body")

    with pytest.raises(ValueError, match="no body"):
        spool.add("report", fails, once="step-1")
    assert spool.add("report", body, once="step-1")
    assert [m.sequence for m in spool.messages({}, limit=9)] == [1]


def test_a_file_that_cannot_be_read_is_kept_aside_and_new_streams_begin(path: Path) -> None:
    spool = opened(path)
    spool.add("report", body)
    before = spool.messages({}, limit=1)[0].stream
    spool.close()
    path.write_bytes(b"no database" * 100)
    spool = opened(path)
    spool.add("report", body)
    sent = spool.messages({}, limit=9)
    assert [m.sequence for m in sent] == [1]
    assert sent[0].stream != before
    assert (path.parent / "spool.db.unreadable-1").read_bytes().startswith(b"no database")
    spool.close()


def test_a_message_that_the_card_has_changed_keeps_no_other_back(path: Path) -> None:
    """SQLite sees nothing, the console cannot read it: no later report was acknowledged."""
    spool = opened(path)
    for _ in range(3):
        spool.add("report", lambda key: b"a report of some length, number %d" % key.sequence)
    spool.close()
    path.write_bytes(path.read_bytes().replace(b"length, number 2", b"lengtj, number 2"))
    spool = opened(path)
    assert [m.sequence for m in spool.messages({}, limit=9)] == [1, 3]
    assert spool.tell_dropped(lambda _, count: b"%d" % count)
    assert spool.messages({}, limit=9)[-1].body == b"1"
    spool.close()


def test_another_incarnation_takes_over_reports_and_says_what_it_left(path: Path) -> None:
    spool = opened(path)
    for n in range(3):
        spool.add("report", boot(n))
    spool.add("telemetry", body)
    before = {m.stream for m in spool.messages({}, limit=9)}
    spool.close()
    for _ in range(2):  # and another start takes nothing over again
        spool = opened(path, incarnation=2)
        found = spool.messages({}, limit=9)
        reports = [Report.from_json(m.body) for m in found]
        assert [one.time_ms for one in reports] == [0, 1, 2]
        assert [one.once for one in reports] == ["boot/0", "boot/1", "boot/2"]
        assert [(m.stream, m.sequence) for m in found] == [
            (one.key.stream, one.key.sequence) for one in reports
        ]
        assert {one.key.incarnation for one in reports} == {2}
        assert not before & {m.stream for m in found}
        spool.close()
    spool = opened(path, incarnation=2)
    assert spool.tell_dropped(lambda key, count: f"{key.incarnation} {count}".encode())
    assert spool.messages({}, limit=9)[-1].body == b"2 1"
    spool.close()


def test_a_report_that_cannot_be_read_is_counted_and_not_taken_over(path: Path) -> None:
    spool = opened(path)
    spool.add("report", body)
    spool.close()
    spool = opened(path, incarnation=2)
    assert spool.messages({}, limit=9) == []
    assert spool.tell_dropped(lambda key, count: f"{key.incarnation} {count}".encode())
    spool.close()


def test_what_another_device_left_is_said_by_nobody(path: Path) -> None:
    spool = opened(path)
    spool.add("report", body, once="boot/1")
    spool.close()
    spool = Spool(path, device="pi-8", incarnation=1, cap_bytes=10_000)
    assert spool.messages({}, limit=9) == []
    assert not spool.tell_dropped(lambda _key, _count: b"")
    assert spool.add("report", body, once="boot/1"), "it has said nothing yet"
    spool.close()


def test_a_full_disk_loses_nothing_that_was_taken_and_is_not_for_ever(small_disk: Path) -> None:
    spool = opened(small_disk / "spool.db")
    taken = fill(spool)
    assert 0 < taken < 2000
    assert len(spool.messages({}, limit=5000)) == taken
    spool.close()


def fill(spool: Spool) -> int:
    """Add reports until the disk is full; return how many were taken."""
    for taken in range(2000):
        try:
            spool.add("report", big)
        except DiskFullError:
            return taken
    return 2000


def test_a_spool_on_a_full_disk_opens_when_there_is_room(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2**20))
    spool = opened(small_disk / "spool.db")
    with pytest.raises(DiskFullError):
        spool.add("report", body)
    filler.unlink()
    assert spool.add("report", body)
    spool.close()


WRITER = """
import sys
from pathlib import Path
from littoral_agent.spool import Spool
spool = Spool(Path(sys.argv[1]), device="pi-7", incarnation=1, cap_bytes=10**6)
while True:
    spool.add("report", lambda key: str(key.sequence).encode())
    print(spool.lowest(), flush=True)
"""


def test_a_kill_at_any_time_leaves_a_stream_without_gaps(path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(20):
                writer.stdout.readline()
            os.kill(writer.pid, signal.SIGKILL)
    spool = opened(path)
    sent = spool.messages({}, limit=9999)
    assert len({m.stream for m in sent}) == 1
    assert [m.sequence for m in sent] == list(range(1, len(sent) + 1))
    assert len(sent) >= 60
    spool.close()


def test_it_says_how_much_waits(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", device="pi-7", incarnation=1, cap_bytes=2**20)
    assert spool.held() == {}
    spool.add("report", *[lambda _: b"r"] * 3)
    spool.add("telemetry", lambda _: b"t")
    assert spool.held() == {"report": 3, "telemetry": 1}
    spool.acknowledge(dict.fromkeys(spool.lowest(), 1))
    assert spool.held() == {"report": 2, "telemetry": 0}
    spool.close()


def test_a_file_that_the_disk_does_not_give_once_is_not_called_damaged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(path)
    first.add("report", body)
    first.close()
    connect, looks = spool_room._connect, iter((True, False))

    def refusing(at: Path) -> sqlite3.Connection:
        if next(looks):
            raise sqlite3.DatabaseError("unable to get the page. error code=266")
        return connect(at)

    monkeypatch.setattr(spool_room, "_connect", refusing)
    again = opened(path)
    assert len(again.messages({}, limit=9)) == 1
    again.close()
    assert not list(path.parent.glob("*unreadable*"))
