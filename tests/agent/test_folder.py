"""A folder that anybody may have filled: what is in it is read, and nothing else is touched."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from littoral.errors import (
    DeniedError,
    EndlessError,
    ForgottenError,
    HashError,
    LittoralError,
    MalformedError,
    UnreachableError,
)
from littoral_agent.folder import Folder

NAME = "metadata/timestamp.json"
LIMIT = 1000


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    stick = tmp_path / "stick"
    (stick / "metadata").mkdir(parents=True)
    (stick / NAME).write_bytes(b"signed")
    (tmp_path / "secret").write_bytes(b"not on the stick")
    return stick


def test_a_file_is_read_whole_or_from_where_one_is(stick: Path) -> None:
    assert Folder(stick)(NAME, limit=6) == b"signed"
    with Folder(stick).stream(NAME, start=2) as stream:
        assert (stream.start, stream.total, b"".join(stream.chunks)) == (2, 6, b"gned")


def test_large_files_come_in_chunks(stick: Path) -> None:
    data = os.urandom(200_000)
    (stick / "blob").write_bytes(data)
    with Folder(stick).stream("blob") as stream:
        chunks = list(stream.chunks)
    assert len(chunks) > 1
    assert b"".join(chunks) == data


def link(at: Path) -> None:
    at.symlink_to("../../secret")


def link_within(at: Path) -> None:
    (at.parent / "other").write_bytes(b"here")
    at.symlink_to("other")


def magic_link(at: Path) -> None:
    at.symlink_to("/proc/self/environ")


def pipe(at: Path) -> None:
    os.mkfifo(at)


def folder(at: Path) -> None:
    at.mkdir()


def listener(at: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(at))


def device(at: Path) -> None:
    try:
        os.mknod(at, 0o600 | 0o020000, os.makedev(1, 5))  # zeros without end
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "lay", [link, link_within, magic_link, pipe, folder, listener, device], ids=lambda f: f.__name__
)
def test_what_is_no_regular_file_is_not_opened(
    stick: Path, monkeypatch: pytest.MonkeyPatch, lay: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(stick)  # a socket's address is short
    (stick / NAME).unlink()
    lay(stick / NAME)
    with pytest.raises(MalformedError):
        Folder(stick)(NAME, limit=LIMIT)
    with pytest.raises(MalformedError), Folder(stick).stream(NAME):
        pass


def test_no_folder_on_the_way_is_a_link(stick: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret").write_bytes(b"not on the stick")
    (stick / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError):
        Folder(stick)("blobs/secret", limit=LIMIT)


@pytest.mark.parametrize("name", ["../secret", "metadata/../../secret", "/etc/passwd", "a//b", "."])
def test_no_name_leads_out(stick: Path, name: str) -> None:
    with pytest.raises(MalformedError):
        Folder(stick)(name, limit=LIMIT)


def broken(stick: Path, at: str) -> type[LittoralError]:
    with pytest.raises(LittoralError) as caught:
        Folder(stick)(at, limit=3)
    return caught.type


def test_each_want_has_its_own_error(stick: Path, tmp_path: Path) -> None:
    assert broken(stick, NAME) is EndlessError
    assert broken(stick, "metadata/2.root.json") is ForgottenError
    assert broken(stick, "targets/2.root.json") is ForgottenError
    assert broken(tmp_path / "unplugged", NAME) is UnreachableError
    with pytest.raises(HashError), Folder(stick).stream(NAME, start=6):
        pass


def test_a_file_that_grows_ends_at_its_limit(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.read
    monkeypatch.setattr(os, "read", lambda fd, most: real(fd, most) or b"more"[:most])
    with pytest.raises(EndlessError):
        Folder(stick)(NAME, limit=20)


def test_what_this_user_may_not_read_is_said(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    folder = Folder(stick)
    monkeypatch.setattr(os, "read", forbidden)
    with pytest.raises(DeniedError, match="may not read it"):
        folder(NAME, limit=LIMIT)


def test_a_stick_that_is_pulled_while_it_is_read_does_not_answer(
    stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pulled(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", pulled)
    with Folder(stick).stream(NAME) as stream, pytest.raises(UnreachableError):
        list(stream.chunks)


def test_a_share_that_is_gone_once_a_file_is_open_does_not_answer(
    stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat, asked = os.fstat, 0

    def stale(fd: int) -> os.stat_result:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise OSError(errno.ESTALE, "Stale file handle")
        return fstat(fd)

    monkeypatch.setattr(os, "fstat", stale)
    with pytest.raises(UnreachableError, match="Stale"), Folder(stick).stream(NAME):
        pass


def test_nothing_stays_open(stick: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in (NAME, "metadata/none", "metadata", "../secret", "metadata/x/y"):
        try:
            Folder(stick)(name, limit=3)
        except LittoralError:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before
