"""Durable writes: the old bytes or the new ones, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral import durable
from littoral.errors import DiskFullError, HashError, StorageError


def test_new_bytes_take_the_place_of_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    durable.replace(path, b"old")
    durable.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["journal.json"]


def test_what_is_secret_is_so_from_its_first_byte(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        durable.replace(tmp_path / "key", b"secret")
        durable.replace(tmp_path / "blob", b"public", mode=0o440)
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "blob").stat().st_mode & 0o777 == 0o440


def test_a_full_disk_keeps_the_old_bytes_and_says_so(small_disk: Path) -> None:
    path = small_disk / "journal.json"
    durable.replace(path, b"old")
    with pytest.raises(DiskFullError, match=r"journal\.json: no space left on the device"):
        durable.replace(path, bytes(1024 * 1024))
    assert path.read_bytes() == b"old"
    assert [p.name for p in small_disk.iterdir()] == ["journal.json"]
    durable.replace(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_that_is_not_there_is_an_error_of_the_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        durable.replace(tmp_path / "none" / "file", b"")


def test_a_new_folder_survives_a_power_cut_and_so_do_those_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    durable.make_folder(tmp_path / "a" / "b", mode=0o700)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert synced == [tmp_path, tmp_path / "a"]
    durable.make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_file_is_removed_as_often_as_one_likes(tmp_path: Path) -> None:
    path = tmp_path / "part"
    durable.replace(path, b"")
    durable.remove(path)
    durable.remove(path)
    durable.remove(tmp_path / "none" / "part")
    assert not path.exists()


WRITER = """
import itertools, pathlib, sys
from littoral import durable
path = pathlib.Path(sys.argv[1])
for n in itertools.count():
    durable.replace(path, str(n % 10).encode() * 50_000)
"""


def test_a_kill_at_any_moment_leaves_whole_bytes(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    for moment in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        until = time.monotonic() + 10
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.003 * moment)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        data = path.read_bytes()
        assert (len(data), len(set(data))) == (50_000, 1)


def test_what_cannot_be_read_is_kept_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "digits.json"
    for n in range(12):
        path.write_text(f"broken {n}")
        assert durable.set_aside(path).read_text() == f"broken {n}"
        assert not path.exists()
    assert len(list(tmp_path.glob("digits.json.unreadable-*"))) == 9


def test_what_the_source_raises_leaves_the_old_bytes(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    durable.replace_from(path, iter((b"old", b"er")))

    def spoiled() -> Iterator[bytes]:
        yield b"new"
        raise HashError("blob", signed="a", found="b")

    with pytest.raises(HashError):
        durable.replace_from(path, spoiled())
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["blob"]


def test_what_kills_left_is_swept(tmp_path: Path) -> None:
    durable.replace(tmp_path / "journal.json", b"{}")
    (tmp_path / ".journal.json.4711.new").write_bytes(b"half")
    (tmp_path / "mine.new").write_bytes(b"")
    durable.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal.json", "mine.new"]
