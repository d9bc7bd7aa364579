"""A line of a known rate, between this machine and a network namespace. Root, for as long as it is.

with line(100_000_000) as wire:
    listen((wire.here, 0))
    subprocess.Popen([*wire.there, "python", …])   # what runs on its far side
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NET = "10.213.77"  # of this machine alone: the namespace has no other way out
_QUEUE_S = 0.5  # how much of the line's time may wait in front of it
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Wire:
    here: str
    there: tuple[str, ...]  # before a command that shall run on the far side
    device: str  # on this side, whose counters are the line's


def possible() -> str:
    """Return why there can be no line here, or nothing."""
    if os.geteuid() != 0:
        return "expected to run as root, for a network namespace"
    tried = subprocess.run(("ip", "netns", "list"), capture_output=True, check=False)
    shaped = subprocess.run(("tc", "qdisc", "show"), capture_output=True, check=False)
    return "" if not tried.returncode | shaped.returncode else "expected iproute2's ip and tc"


@contextmanager
def line(bits_per_s: int) -> Iterator[Wire]:
    """Lend a line over which this machine sends ``bits_per_s``, frames and all."""
    name = f"littoral-{os.getpid()}-{next(_numbers)}"
    near, far = f"ltn{os.getpid()}", f"ltf{os.getpid()}"
    _do("ip", "netns", "add", name)
    try:
        _do("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        _do("ip", "addr", "add", f"{NET}.1/24", "dev", near)
        _do("ip", "-n", name, "addr", "add", f"{NET}.2/24", "dev", far)
        _do("ip", "-n", name, "link", "set", "lo", "up")
        _do("ip", "link", "set", near, "up")
        _do("ip", "-n", name, "link", "set", far, "up")
        queue = ("limit", str(round(bits_per_s / 8 * _QUEUE_S)))
        _do("tc", "qdisc", "add", "dev", near, "root", "tbf", "rate", f"{bits_per_s}bit",
            "burst", "128kb", *queue)  # fmt: skip
        yield Wire(f"{NET}.1", ("ip", "netns", "exec", name), near)
    finally:
        subprocess.run(("ip", "link", "del", near), capture_output=True, check=False)
        _do("ip", "netns", "del", name)


def sent_bytes(wire: Wire) -> int:
    """Return how many bytes this machine sent over ``wire`` so far, frames and all."""
    return int(Path(f"/sys/class/net/{wire.device}/statistics/tx_bytes").read_text())


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
