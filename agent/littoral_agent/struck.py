"""Encodings from which no file came: they are not asked for again while this agent lives.

An encoding whose own fault it is is struck at once, and told. Where a source sends other bytes in
its place, that is the source's fault: no other source is held to it. What the board had no memory
or time for is nobody's fault, and may be done again; not for ever.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from littoral_agent.reports import Reports
from littoral_agent.saying import MOST_DETAIL

MOST_STARVED: Final = 3  # how often the board may be the reason

Tell = Callable[[str, str, str], object]  # sha256, words, code


def nobody(_sha256: str, _words: str, _code: str) -> None:
    """Tell it to nobody."""


log = logging.getLogger(__name__)


class Struck:
    """Threads share it. ``tell`` is called once for each, with its sha256, and why."""

    def __init__(self, tell: Tell = nobody) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._struck: set[tuple[str, str | None]] = set()  # and the source, None: all of them
        self._starved: Counter[str] = Counter()

    def __contains__(self, sha256: str) -> bool:
        return self.bars(sha256)

    def bars(self, sha256: str, *, source: str | None = None) -> bool:
        """Return whether it is asked for no more: of nobody, or of ``source``."""
        return bool({(sha256, None), (sha256, source)} & self._struck)

    def strike(self, sha256: str, words: str, *, code: str, source: str | None = None) -> None:
        """Let it not be asked for any more: of ``source``, None: of nobody."""
        with self._lock:
            if self.bars(sha256, source=source):
                return
            self._struck.add((sha256, source))
        log.warning("%s [%s]", words, code)
        self._tell(sha256, words, code)

    def starved(self, sha256: str) -> bool:
        """Count that this machine could not decode it; return whether that was once too often."""
        with self._lock:
            self._starved[sha256] += 1
            return self._starved[sha256] >= MOST_STARVED


def telling(reports: Reports) -> Struck:
    """Return one that tells ``reports`` of each encoding, once for ever."""

    def tell(sha256: str, words: str, code: str) -> None:
        reports.tell("encoding", words[:MOST_DETAIL], code=code, once=f"encoding/{sha256}")

    return Struck(tell)
