"""A wire whose bytes are counted, between a device and its broker or console.

with CountingWire(broker.port) as wire:
    ...  connect to 127.0.0.1:wire.port
    wire.cut()                      # every connection that is open, without a goodbye
    wire.traffic()                  # bytes and segments so far, as the kernel counted them

Segments that carry data are the kernel's count, of a size as on Ethernet. That each of them is
acknowledged by one of its own is the worst there can be, and is reckoned, as headers are.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

HEADER: Final = 52  # of IPv4 and TCP with timestamps; IPv6's is 20 more
_MSS: Final = 1448
_TCP_INFO: Final = 256
_WITH_DATA: Final = (152, 156)  # in, out: offsets in struct tcp_info, Linux 4.6
_OPENING: Final = 7  # segments: the handshake, and the goodbye


@dataclass(frozen=True)
class Traffic:
    up: int = 0  # bytes of TLS, from the device
    down: int = 0
    with_data: int = 0  # segments
    connections: int = 0

    @property
    def tls(self) -> int:
        return self.up + self.down

    @property
    def ip(self) -> int:
        """Return the bytes of IPv4 packets."""
        return self.tls + self.segments * HEADER

    @property
    def segments(self) -> int:
        return 2 * self.with_data + _OPENING * self.connections


class CountingWire:
    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.socket()
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _MSS)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[tuple[socket.socket, socket.socket]] = []
        self._segments = 0
        self.up = self.down = 0
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def traffic(self) -> Traffic:
        with self._lock:
            live = sum(_segments(device) for device, _ in self._open)
            return Traffic(self.up, self.down, self._segments + live, self.connections)

    def cut(self) -> None:
        """End every connection, as a router does that forgets."""
        for pair in list(self._open):
            self._end(*pair)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                device, _ = self._listener.accept()
                device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = socket.create_connection(("127.0.0.1", self._target))
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open.append((device, server))
                    self.connections += 1
                self._start(self._carry, device, server)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _carry(self, device: socket.socket, server: socket.socket) -> None:
        """Carry both ways until either end hangs up."""
        back = threading.Thread(target=self._pump, args=(server, device, False), daemon=True)
        with device, server:
            back.start()
            self._pump(device, server, True)  # noqa: FBT003
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, up: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    if up:
                        self.up += len(data)
                    else:
                        self.down += len(data)
                target.sendall(data)
        self._end(source, target)

    def _end(self, *ends: socket.socket) -> None:
        """Note what the connection cost, once, and end both sides."""
        with self._lock:
            pair = next((pair for pair in self._open if ends[0] in pair), None)
            if pair is None:
                return
            self._open.remove(pair)
            self._segments += _segments(pair[0])
        for one in pair:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _segments(link: socket.socket) -> int:
    info = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO)
    return sum(int(struct.unpack_from("=I", info, at)[0]) for at in _WITH_DATA)
