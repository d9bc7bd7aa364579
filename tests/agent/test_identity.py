"""Who the device is, as enrolment wrote it."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.errors import StorageError, WrongBoardError
from littoral_agent.identity import Enrolment, Identity

WHO = Enrolment(device="pi-7", fleet="shore", incarnation=1, url="https://console:8443")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    assert identity.read() is None
    identity.write(WHO)
    assert identity.read() == WHO
    assert identity.enrolment.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"device": "../x", "fleet": "f", "incarnation": 1, "url": "https://x"}',
        '{"device": "x", "fleet": "f", "incarnation": 0, "url": "https://x"}',
        '{"device": "x", "fleet": "f", "incarnation": 1, "url": "ftp://x"}',
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str) -> None:
    Identity(tmp_path).enrolment.write_text(text)
    with pytest.raises(StorageError, match="run 'littoral enroll' again"):
        Identity(tmp_path).read()


def whole(folder: Path, who: Enrolment) -> Identity:
    """Write an identity to be adopted into ``folder``."""
    new = Identity(folder).enrolling
    new.folder.mkdir()
    for path in (new.key, new.certificate, new.console_ca):
        path.write_text(f"{path.name} of {who.device} {who.incarnation}")
    new.write(who)
    return new


def test_what_was_made_whole_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    for incarnation in (1, 2):
        who = replace(WHO, incarnation=incarnation)
        whole(tmp_path, who)
        identity.adopt()
        assert identity.read() == who
        assert identity.key.read_text() == f"device.key of pi-7 {incarnation}"
        assert identity.key.stat().st_mode & 0o777 == 0o600
        assert not identity.enrolling.folder.exists()
        assert not identity.enrolled.folder.exists()
    identity.settle()
    assert identity.read() == replace(WHO, incarnation=2)


def test_a_kill_leaves_no_copy_of_a_key(tmp_path: Path) -> None:
    (tmp_path / ".device.key.4711.new").write_text("a key")
    (tmp_path / "device.key").write_text("the key")
    Identity(tmp_path).settle()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["device.key", "settling.lock"]


def test_a_folder_that_cannot_be_listed_once_is_the_disk_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "scandir", full)
    with pytest.raises(StorageError, match="Too many open files"):
        Identity(tmp_path).settle()


def test_a_renewal_of_the_earlier_key_ends_with_it(tmp_path: Path) -> None:
    """A card that was pi-7 and becomes pi-8 counts from one again."""
    identity = Identity(tmp_path)
    whole(tmp_path, WHO)
    identity.adopt()
    (tmp_path / "next-1").mkdir()
    (tmp_path / "next-1" / "proven").touch()
    whole(tmp_path, replace(WHO, device="pi-8"))
    identity.adopt()
    assert not (tmp_path / "next-1").exists()


def test_the_board_is_checked_where_it_is_known() -> None:
    enrolled = replace(WHO, serial="10000000abcdef01")
    enrolled.check_board("10000000abcdef01")
    WHO.check_board("any")
    for here in ("10000000abcdef02", ""):
        with pytest.raises(WrongBoardError, match="10000000abcdef01") as wrong:
            enrolled.check_board(here)
        assert wrong.value.code == "wrong-board"
