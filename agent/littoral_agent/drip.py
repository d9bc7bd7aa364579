"""Whether a connection that gives nothing to read is silent, or drips, or says what nobody asked.

Of a record of TLS, 16 KiB as servers send them, nothing can be read before all of it is there: on
a slow line that is longer than anybody waits for a byte. What counts is what the kernel received.
And between the bytes of a body may stand others, which who reads it never sees: sizes of chunks,
what is said to them, trailers. Neither may they go on for ever.
"""

import contextlib
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
_SLICES: Final = 6  # of a wait, in each of which something of a drip arrives
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
            TimeoutError: Nothing arrives, or only now and then: a line that stalls is not slow.
            SlowError: Something does all the while, and hardly anything, or hardly any body.
            EndlessError: Too much of it is no body.

        """
        within_s = self._sock.gettimeout()
        if not within_s:
            return self._judged(self._sock.recv_into(buffer))
        self._sock.settimeout(within_s / _SLICES)
        try:
            while True:
                came: list[int] = []
                for _ in range(_SLICES):
                    before = received(self._sock)
                    try:
                        return self._judged(self._sock.recv_into(buffer))
                    except TimeoutError:
                        came.append(received(self._sock) - before)
                _check_waiting(came, within_s)
        finally:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                self._sock.settimeout(within_s)

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


def _check_waiting(came: list[int], within_s: float) -> None:
    """Return if so many bytes, slice by slice, are enough to wait on. Raises as ``readinto``."""
    if sum(came) >= LEAST_BYTES_PER_S * within_s:
        return
    if min(came) == 0:
        raise TimeoutError("timed out")
    raise SlowError(
        f"{sum(came)} bytes arrived in {within_s:.0f} s; expected at least "
        f"{LEAST_BYTES_PER_S:.0f} a second"
    )


def received(sock: socket.socket) -> int:
    """Return how many bytes ever arrived, 0 where the kernel does not say or all has just ended."""
    if _TCP_INFO is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    try:
        (count,) = _RECEIVED.unpack(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _RECEIVED.size))
    except (OSError, struct.error):
        return 0
    return int(count)
