"""Tells systemd, where it asked: ready, still alive, stopping. One datagram each."""

import contextlib
import os
import socket


def tell(state: str) -> None:
    """Send ``state``, as ``READY=1``, to $NOTIFY_SOCKET; that nobody listens is no error."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
    ):
        datagram.sendto(state.encode(), name)


def watchdog_s() -> float | None:
    """Return how often systemd wants to hear that this process is alive; None: never."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    if not wanted.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(wanted) / 2e6
