"""Whether a connection that gives nothing to read is silent, or drips.

Of a record of TLS, 16 KiB as servers send them, nothing can be read before all of it is there: on
a slow line that is longer than anybody waits for a byte. What counts is what the kernel received.
"""

import io
import socket
import struct
from typing import IO, TYPE_CHECKING, Final

from littoral.errors import SlowError
from littoral_agent.streams import LEAST_BYTES_PER_S

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
_RECEIVED: Final = struct.Struct("=128xQ")  # tcpi_bytes_received, since Linux 4.1


class Dripping(io.RawIOBase):
    """What ``sock`` gives, in place of ``first``, which read it before and is closed with it."""

    def __init__(self, sock: socket.socket, first: IO[bytes]) -> None:
        self._sock, self._first = sock, first

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read what there is, and go on waiting as long as enough arrives.

        Raises:
            TimeoutError: Nothing arrives.
            SlowError: Hardly anything does.

        """
        while True:
            before, within_s = received(self._sock), self._sock.gettimeout()
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                came = received(self._sock) - before
                if came == 0 or not within_s:
                    raise
                if came < LEAST_BYTES_PER_S * within_s:
                    raise SlowError(
                        f"{came} bytes arrived in {within_s:.0f} s; expected at least "
                        f"{LEAST_BYTES_PER_S:.0f} a second"
                    ) from None

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
