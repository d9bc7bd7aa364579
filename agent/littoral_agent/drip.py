"""Whether a connection that gives nothing to read is silent, or drips, or says what nobody asked.

Of a record of TLS, 16 KiB as servers send them, nothing can be read before all of it is there: on
a slow line that is longer than anybody waits for a byte. What counts is what the kernel received.
And between the bytes of a body may stand others, which who reads it never sees: sizes of chunks,
what is said to them, trailers. Neither may they go on for ever.
"""

import io
import socket
import struct
import time
from typing import IO, TYPE_CHECKING, Final

from littoral.errors import EndlessError, SlowError
from littoral_agent.streams import LEAST_BYTES_PER_S, SLOW_OVER_S

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_BESIDE: Final = 256 * 1024  # of an answer that are none of its body's, and so many times that
_BESIDE_BODY: Final = 3
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
_RECEIVED: Final = struct.Struct("=128xQ")  # tcpi_bytes_received, since Linux 4.1


class Dripping(io.RawIOBase):
    """What ``sock`` gives, in place of ``first``, which read it before and is closed with it."""

    def __init__(self, sock: socket.socket, first: IO[bytes]) -> None:
        self._sock, self._first = sock, first
        self._came = self._brought = 0
        self._since_s: float | None = None  # since when the body's next bytes are waited for
        self._before = (0, 0)  # what the kernel had received then, and what was read

    def awaited(self) -> None:
        """Take note that somebody waits for the body's next bytes."""
        self._since_s, self._before = time.monotonic(), (received(self._sock), self._came)

    def brought(self, count: int) -> None:
        """Take note that ``count`` bytes of what was read were the body's."""
        self._brought += count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read what there is, and go on waiting as long as enough arrives.

        Raises:
            TimeoutError: Nothing arrives.
            SlowError: Hardly anything does, or hardly anything of a body.
            EndlessError: Too much of it is no body.

        """
        while True:
            before, within_s = received(self._sock), self._sock.gettimeout()
            try:
                return self._judged(self._sock.recv_into(buffer))
            except TimeoutError:
                came = received(self._sock) - before
                if came == 0 or not within_s:
                    raise
                if came < LEAST_BYTES_PER_S * within_s:
                    raise SlowError(
                        f"{came} bytes arrived in {within_s:.0f} s; expected at least "
                        f"{LEAST_BYTES_PER_S:.0f} a second"
                    ) from None

    def _judged(self, count: int) -> int:
        self._came += count
        most = MOST_BESIDE + (1 + _BESIDE_BODY) * self._brought
        if self._came > most:
            raise EndlessError("what an answer says beside what was asked for", limit=most)
        if self._since_s is not None:
            passed_s = time.monotonic() - self._since_s
            arrived = received(self._sock) - self._before[0]
            came = max(arrived, self._came - self._before[1])
            if passed_s >= SLOW_OVER_S and came < LEAST_BYTES_PER_S * passed_s:
                raise SlowError(
                    f"{came} bytes came in {passed_s:.0f} s, and none of what was asked for"
                )
        return count

    def close(self) -> None:
        if not self.closed:
            self._first.close()
        super().close()


def received(sock: socket.socket) -> int:
    """Return how many bytes ever arrived, 0 where the kernel does not say or all has just ended."""
    if _TCP_INFO is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    try:
        (count,) = _RECEIVED.unpack(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _RECEIVED.size))
    except (OSError, struct.error):
        return 0
    return int(count)
