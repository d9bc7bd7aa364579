"""HTTP over a Unix socket, by the standard library: how one process of a machine asks another."""

import contextlib
import http.client
import socket
from pathlib import Path


class LocalConnection(http.client.HTTPConnection):
    """A connection to whoever listens on ``path``."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def hang_up(self) -> None:
        """End what another thread waits for, here and at the other end."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
