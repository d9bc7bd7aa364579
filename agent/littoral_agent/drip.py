"""Whether a connection that gives nothing to read is silent, or drips.

Of a record of TLS, 16 KiB as servers send them, nothing can be read before all of it is there: on
a slow line that is longer than anybody waits for a byte. What counts is what the kernel received.
"""

import io
import socket
import struct
from typing import IO, TYPE_CHECKING, Final

from littoral.errors import SlowError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LEAST_BYTES_PER_S: Final = 256.0
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
_RECEIVED_AT: Final = 128  # tcpi_bytes_received in Linux's struct tcp_info, 64 bits


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
            before, within_s = _received(self._sock), self._sock.gettimeout()
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                came = _received(self._sock) - before
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


def _received(sock: socket.socket) -> int:
    """Return how many bytes ever arrived, 0 where the kernel does not say."""
    if _TCP_INFO is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _RECEIVED_AT + 8)
        (count,) = struct.unpack_from("=Q", told, _RECEIVED_AT)
    except (OSError, struct.error):
        return 0
    return int(count)
