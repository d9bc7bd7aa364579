"""Which document only a medium has brought, over reboots and bad disks."""

import logging
from pathlib import Path

import pytest

from littoral_agent.carried import Carried


def test_it_is_remembered_until_the_console_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "carried"
    one = Carried(path)
    assert not one.holds(b"word")
    one.put(b"word")
    assert [again.holds(b"word") for again in (one, Carried(path))] == [True, True]
    assert not one.holds(b"other")
    assert not one.holds(None)
    one.drop()
    assert [again.holds(b"word") for again in (one, Carried(path))] == [False, False]


def test_a_disk_that_does_not_keep_it_is_no_trouble_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "none/carried"
    one = Carried(path)
    with caplog.at_level(logging.WARNING):
        one.put(b"word")
    assert (one.holds(b"word"), Carried(path).holds(b"word")) == (True, False)
    assert "[storage]" in caplog.text
    path.parent.write_bytes(b"")  # no folder
    one.drop()
    assert not one.holds(b"word")


def test_what_is_no_sha256_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "carried").write_bytes(b"\xff\xfe")
    assert not Carried(tmp_path / "carried").holds(b"word")


def test_what_cannot_be_read_holds_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "carried").mkdir()  # root may read every file, and no folder as one
    with caplog.at_level(logging.WARNING):
        assert not Carried(tmp_path / "carried").holds(b"word")
    assert "[storage]" in caplog.text
