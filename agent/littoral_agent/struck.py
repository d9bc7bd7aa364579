"""Encodings from which no file came: they are not asked for again while this agent lives.

An encoding whose own fault it is is struck at once, and told. What the board had no memory or
time for is nobody's fault, and may be done again; not for ever.
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
        self._struck: set[str] = set()
        self._starved: Counter[str] = Counter()

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._struck

    def strike(self, sha256: str, words: str, *, code: str) -> None:
        """Let it not be asked for any more."""
        with self._lock:
            if sha256 in self._struck:
                return
            self._struck.add(sha256)
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
