"""Places with a network of their own, that end with this process: who is in one, and by what line.

with places() as here:                 # a device's, the console's, a captive portal's; and a line
    with here.console.inside():        # this thread's sockets, and what it starts, are there
        ...

None of them has a name, so that nothing is left when a test is killed.
"""

import ctypes
import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from faults.line import Line

DEVICE: Final = "10.77.0.2"
CONSOLE: Final = "10.77.0.1"
NAME: Final = "console.test"  # what the device's resolver finds there
DEVICES: Final = 8443  # the port where it listens for them

_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_TUN_PLAIN: Final = 0x1001  # IFF_TUN | IFF_NO_PI
_HERE: Final = "/proc/thread-self/ns/net"
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A network namespace."""

    fd: int

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread be there."""
        home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(self.fd, _NEWNET))
            yield
        finally:
            _check(_libc.setns(home, _NEWNET))
            os.close(home)


@dataclass(frozen=True, slots=True)
class Places:
    """Who is where, and the line between them."""

    device: Place
    console: Place
    portal: Place
    line: Line


@contextmanager
def places() -> Iterator[Places]:
    """Make them. Only root may."""
    with ExitStack() as undo:
        made = [_place(undo) for _ in range(3)]
        ends = [
            _tun(place, address, other)
            for place, (address, other) in zip(
                made, ((DEVICE, CONSOLE), (CONSOLE, DEVICE), (CONSOLE, DEVICE)), strict=True
            )
        ]
        line = Line(ends[0], {"console": ends[1], "portal": ends[2]})
        line.start()
        undo.callback(line.stop)
        yield Places(device=made[0], console=made[1], portal=made[2], line=line)


def _place(undo: ExitStack) -> Place:
    """Return a new namespace, whose loopback is up."""
    found: list[int] = []

    def make() -> None:
        _check(_libc.unshare(_NEWNET))
        found.append(os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    place = Place(found[0])
    undo.callback(os.close, place.fd)
    with place.inside():
        _ip("link", "set", "lo", "up")
    return place


def _tun(place: Place, address: str, other: str) -> int:
    """Make a TUN device there, and return our end of it."""
    with place.inside():
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"line", _TUN_PLAIN))
        _ip("address", "add", address, "peer", other, "dev", "line")
        _ip("link", "set", "line", "up")
        _ip("route", "add", "default", "dev", "line")
    return fd


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
