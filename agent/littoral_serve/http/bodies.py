"""How many bytes the bodies of all connections may hold together. No socket, and no clock.

The first ``OWN`` bytes of a body are its connection's own, so that small requests always come
through. What is more is taken from what all share, as it arrives: who promises much and sends
little holds little. What does not fit is refused at once, and nobody waits for anybody.
"""

from enum import Enum, auto
from typing import Final

OWN: Final = 256 * 1024
FULL: Final = "too many large requests are on their way or wait already; try again later"


class Wrong(Enum):
    """Why a body is refused."""

    LARGE = auto()  # no body may be so large
    FULL = auto()  # all bodies together hold as much as they may


class Bodies:
    """What the bodies of all connections take from ``most`` bytes. All happens on the loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self.refused = 0  # how many bodies there was no room for

    def fits(self, size: int) -> bool:
        """Tell whether a body of ``size`` could come now: one that could not is refused unsent."""
        if self.held + _shared(size) <= self.most:
            return True
        self.refused += 1
        return False

    def resize(self, before: int, after: int) -> bool:
        """Let a body hold ``after`` bytes where it held ``before``, or refuse it."""
        more = _shared(after) - _shared(before)
        if more > 0 and self.held + more > self.most:
            self.refused += 1
            return False
        self.held += more
        return True

    def give(self, size: int) -> None:
        """Take back what a body of ``size`` holds: it was answered, or forgotten."""
        self.held -= _shared(size)


class Arriving:
    """The body that arrives on one connection, piece by piece."""

    __slots__ = ("_bodies", "_first", "_granted", "_most", "_pieces", "_promised", "size")

    def __init__(self, bodies: Bodies, *, most: int) -> None:
        self._bodies, self._most = bodies, most
        self._first = min(OWN, most)  # as much may come before anybody is asked
        self._granted, self._promised = self._first, most
        self._pieces: list[bytes] = []
        self.size = 0

    def expect(self, size: int) -> Wrong | None:
        """Hear that ``size`` bytes are to come; return why they need not be sent."""
        if size <= self._first:
            return None
        self._promised = size
        if size > self._most:
            return Wrong.LARGE
        return None if self._bodies.fits(size) else Wrong.FULL

    def add(self, piece: bytes) -> Wrong | None:
        """Keep what came; or return why it is not kept."""
        size = self.size + len(piece)
        if size > self._granted and (wrong := self._grow(size)):
            return wrong
        self._pieces.append(piece)
        self.size = size
        return None

    def done(self) -> bytes:
        """Return the body, which goes on to hold its bytes; the next one begins."""
        pieces, size = self._pieces, self.size
        if self._granted > self._first:
            self._bodies.resize(self._granted, size)
        self._begin()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def drop(self) -> None:
        """Forget what came."""
        self._bodies.give(self._granted)
        self._begin()

    def _grow(self, size: int) -> Wrong | None:
        if size > self._most:
            return Wrong.LARGE
        granted = max(size, min(size + OWN, self._promised))
        if not self._bodies.resize(self._granted, granted):
            return Wrong.FULL
        self._granted = granted
        return None

    def _begin(self) -> None:
        self._pieces, self.size = [], 0
        self._granted, self._promised = self._first, self._most


def _shared(size: int) -> int:
    return max(0, size - OWN)
