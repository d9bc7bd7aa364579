"""What one console at a time holds: its addresses and its folder."""

import errno
import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from littoral import durable
from littoral.errors import MisuseError, PortInUseError, SettingsError
from littoral_console.options import split_address


@contextmanager
def listening(option: str, address: str) -> Iterator[socket.socket]:
    """Lend a socket that listens on ``address``.

    Raises:
        PortInUseError: Another program does.
        SettingsError: It is no address of this machine.

    """
    host, port = split_address(option, address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
            found.listen(2048)
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                raise PortInUseError(address) from e
            raise SettingsError(f"{option}: cannot listen on {address}: {e.strerror}") from e
        yield found


@contextmanager
def only_console(data: Path) -> Iterator[None]:
    """Hold the data folder. Raises MisuseError when another console does."""
    durable.make_folder(data, mode=0o700)
    with (data / "console.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise MisuseError(f"{data}: another console runs on this folder; stop it") from e
        yield
