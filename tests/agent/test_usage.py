"""What a device may bring in a month: written down before it comes, and never too little."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from littoral import durable
from littoral.errors import DiskFullError, OverAllowanceError, SpentError
from littoral_agent.streams import CHUNK_BYTES
from littoral_agent.usage import BLOCK_BYTES, Usage

MB = 1_000_000


class Clock:
    """The trusted clock, as far as months go."""

    def __init__(self) -> None:
        self.now, self.sure = datetime(2026, 11, 21, tzinfo=UTC), True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def usage(tmp_path: Path, clock: Clock, *, most: int = 10 * MB) -> Usage:
    path = tmp_path / "usage.json"
    return Usage(path, most_bytes=most, now=lambda: clock.now, sure=lambda: clock.sure)


def chunks(size: int) -> Iterator[bytes]:
    while size > 0:
        yield bytes(min(size, CHUNK_BYTES))
        size -= CHUNK_BYTES


def bring(held: Usage, size: int) -> int:
    return sum(map(len, held.counted(chunks(size), expected=size)))


def test_what_came_is_counted_to_the_byte_over_restarts(tmp_path: Path, clock: Clock) -> None:
    held = usage(tmp_path, clock)
    assert bring(held, 3 * MB + 1) == 3 * MB + 1
    assert held.left_bytes == 7 * MB - 1
    again = usage(tmp_path, clock)
    assert again.left_bytes == 7 * MB - 1
    bring(again, MB)
    assert usage(tmp_path, clock).left_bytes == 6 * MB - 1


def test_a_kill_at_any_chunk_counts_at_most_a_block_too_many_and_none_too_few(
    tmp_path: Path, clock: Clock
) -> None:
    size = 3 * BLOCK_BYTES + 1000
    walk = usage(tmp_path, clock).counted(chunks(size), expected=size)
    came = 0
    for chunk in walk:
        came += len(chunk)
        # Whoever was killed just now, or while the next chunk was on its way, finds this.
        counted = 10 * MB - usage(tmp_path, clock).left_bytes
        assert came <= counted <= came + BLOCK_BYTES, came


def test_the_promise_is_written_before_the_bytes_come(tmp_path: Path, clock: Clock) -> None:
    def source() -> Iterator[bytes]:
        assert usage(tmp_path, clock).left_bytes <= 10 * MB - CHUNK_BYTES
        yield bytes(CHUNK_BYTES)

    assert list(usage(tmp_path, clock).counted(source(), expected=CHUNK_BYTES))


def test_what_does_not_come_is_given_back(tmp_path: Path, clock: Clock) -> None:
    def cut_off() -> Iterator[bytes]:
        yield bytes(1000)
        raise ConnectionResetError

    held = usage(tmp_path, clock)
    with pytest.raises(ConnectionResetError):
        list(held.counted(cut_off(), expected=MB))
    assert held.left_bytes == 10 * MB - 1000
    assert usage(tmp_path, clock).left_bytes == 10 * MB - 1000


def test_a_source_that_sends_more_than_it_should_is_counted_too(
    tmp_path: Path, clock: Clock
) -> None:
    held = usage(tmp_path, clock)
    list(held.counted(chunks(2 * CHUNK_BYTES), expected=10))
    assert held.left_bytes == 10 * MB - 2 * CHUNK_BYTES


def test_no_more_comes_than_a_month_has(tmp_path: Path, clock: Clock) -> None:
    held = usage(tmp_path, clock, most=MB)
    with pytest.raises(SpentError, match="waits until 2026-12-01") as e:
        bring(held, 2 * MB)
    assert 0 <= held.left_bytes < CHUNK_BYTES
    assert e.value.until == datetime(2026, 12, 1, tzinfo=UTC)


def test_what_is_too_much_waits_or_is_refused_before_the_first_byte(
    tmp_path: Path, clock: Clock
) -> None:
    held = usage(tmp_path, clock)
    held.check(10 * MB)
    bring(held, 4 * MB)
    held.check(6 * MB)
    with pytest.raises(SpentError, match=r"10 MB 6 MB are left"):
        held.check(6 * MB + 1)
    with pytest.raises(OverAllowanceError, match=r"allows 10 MB; raise that"):
        held.check(10 * MB + 1)


def test_a_year_ends_in_december(tmp_path: Path, clock: Clock) -> None:
    clock.now = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    held = usage(tmp_path, clock, most=1)
    bring(held, 1)
    with pytest.raises(SpentError) as e:
        held.check(1)
    assert e.value.until == datetime(2027, 1, 1, tzinfo=UTC)
    clock.now = datetime(2027, 1, 1, tzinfo=UTC)
    held.check(1)


def test_a_month_that_seems_over_before_it_was_begun_gives_nothing_back(
    tmp_path: Path, clock: Clock
) -> None:
    """A board without a clock starts before the last time that it knew."""
    bring(usage(tmp_path, clock), 9 * MB)
    clock.now, clock.sure = datetime(2026, 10, 31, tzinfo=UTC), False
    assert usage(tmp_path, clock).left_bytes == MB
    clock.sure = True  # and so the file was written under a clock that was wrong
    assert usage(tmp_path, clock).left_bytes == 10 * MB


@pytest.mark.parametrize("said", ['{"month": ', '{"month":"2026-11","promised_bytes":-9000000}'])
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path, clock: Clock, said: str) -> None:
    (tmp_path / "usage.json").write_text(said)
    assert usage(tmp_path, clock).left_bytes == 10 * MB


def test_a_disk_that_takes_no_promise_lets_nothing_come(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise DiskFullError("no space")

    held = usage(tmp_path, clock)
    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(DiskFullError):
        next(held.counted(chunks(10), expected=10))
    assert held.left_bytes == 10 * MB


def test_many_at_once_together_never_bring_more(tmp_path: Path, clock: Clock) -> None:
    held, came = usage(tmp_path, clock, most=2 * MB), []

    def one() -> None:
        total = 0
        try:
            for chunk in held.counted(chunks(MB), expected=MB):
                total += len(chunk)
        except SpentError:
            pass
        came.append(total)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 * MB - 6 * CHUNK_BYTES < sum(came) <= 2 * MB
    assert held.left_bytes == 2 * MB - sum(came)
    assert usage(tmp_path, clock, most=2 * MB).left_bytes == held.left_bytes
