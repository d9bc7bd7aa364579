"""A socket that is there already: whose it is decides whether serve takes its place."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.errors import PortInUseError, StorageError
from littoral_serve.http import sockets


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "serve.sock"


@pytest.fixture
def other(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
        found.bind(str(path))
        yield found


def test_one_that_nobody_listens_on_is_replaced(path: Path, other: socket.socket) -> None:
    other.close()
    with sockets.unix(path), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
    assert path.stat().st_mode & 0o777 == 0o660


def test_one_whose_owner_is_stopped_is_its_own(path: Path, other: socket.socket) -> None:
    """Its queue is full, and whoever comes would wait for ever."""
    other.listen(0)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second,
    ):
        for client in (first, second):
            client.settimeout(0)
        first.connect(str(path))
        with pytest.raises(BlockingIOError):
            second.connect(str(path))
        with pytest.raises(PortInUseError):
            sockets.unix(path)
    assert path.exists()


def test_one_that_cannot_be_asked_is_left_alone(path: Path) -> None:
    """Another program's of another kind; or of another user's, to which nobody may connect."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(StorageError):
            sockets.unix(path)
    assert path.exists()
