"""How one process of a machine asks another: HTTP or frames over a Unix socket. Knows no tensor."""

import contextlib
import http.client
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from littoral.errors import EndlessError
from littoral.wire import frames
from littoral.wire.frames import HEADER, Kind

_AT_ONCE: Final = 64 * 1024


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


class FrameConnection:
    """Frames to whoever listens on ``path``, one at a time. Opened when it is first needed.

    After an error it is closed, and the next frame opens another.
    """

    def __init__(self, path: Path, *, timeout_s: float, most_bytes: int) -> None:
        self._path, self._timeout_s, self._most = path, timeout_s, most_bytes
        self._socket: socket.socket | None = None
        self._view, self._have = memoryview(bytearray(_AT_ONCE)), 0

    def ask(self, *parts: Any) -> tuple[int, bytes, memoryview]:  # noqa: ANN401 (buffers)
        """Send a frame; return the answer's kind, head and body, which is valid until the next.

        Raises:
            OSError: Nobody answers, or not in time.
            MalformedError: What answers speaks something else.
            UnsupportedFormatError: … or another version of it.
            EndlessError: The answer is longer than this program takes.

        """
        fresh = self._socket is None
        try:
            try:
                return self._once(parts)
            except (BrokenPipeError, ConnectionResetError):
                # The server closed the connection while it was idle, or was restarted.
                self.close()
                if fresh:
                    raise
                return self._once(parts)
        except BaseException:
            self.close()  # else the next answer would be this one's
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _once(self, parts: Sequence[Any]) -> tuple[int, bytes, memoryview]:
        connection = self._socket or self._open()
        try:
            _send(connection, parts)
        except (BrokenPipeError, ConnectionResetError):
            # It may have said why before it closed.
            with contextlib.suppress(OSError):
                kind, head, body = self._answer(connection)
                if kind == Kind.REFUSED:
                    self.close()
                    return kind, head, body
            raise
        return self._answer(connection)

    def _open(self) -> socket.socket:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._timeout_s)
        self._socket.connect(str(self._path))
        return self._socket

    def _answer(self, connection: socket.socket) -> tuple[int, bytes, memoryview]:
        end = time.monotonic() + self._timeout_s
        self._have = 0
        self._read(connection, HEADER.size, end)
        kind, head, body, _ = frames.sizes(self._view)
        need, begins = HEADER.size + head + body, HEADER.size + head
        if need > self._most:
            raise EndlessError("the answer", limit=self._most)
        self._read(connection, need, end)
        return kind, self._view[HEADER.size : begins].tobytes(), self._view[begins:need]

    def _read(self, connection: socket.socket, need: int, end: float) -> None:
        """Read until so much is here."""
        if need > len(self._view):
            larger = memoryview(bytearray(need))
            larger[: self._have] = self._view[: self._have]
            self._view = larger
        while self._have < need:
            if time.monotonic() > end:
                raise TimeoutError("the answer did not come in time")
            got = connection.recv_into(self._view[self._have :])
            if not got and not self._have:
                raise ConnectionResetError("the connection was closed")
            if not got:
                raise ConnectionAbortedError("the connection was closed within an answer")
            self._have += got


def _send(connection: socket.socket, parts: Sequence[Any]) -> None:
    sent = connection.sendmsg(parts)
    if sent < sum(memoryview(part).nbytes for part in parts):
        connection.sendall(memoryview(b"".join(parts))[sent:])
