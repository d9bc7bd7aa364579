"""How often somebody may be wrong: guesses at tokens, passwords and keys are slowed down."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from littoral.errors import DeniedError

MOST: Final = 10
WITHIN_S: Final = 60.0
_KEYS: Final = 10_000


class TooManyError(DeniedError):
    """Whoever asks was wrong too often lately."""


@dataclass(slots=True)
class Failures:
    """Counts by who asks. To be used from one thread."""

    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, deque[float]] = field(default_factory=dict)

    def check(self, who: str) -> None:
        """Raise TooManyError if ``who`` was wrong ten times within a minute."""
        recent = self._recent(who)
        if len(recent) >= MOST:
            wait_s = recent[0] + WITHIN_S - self.clock()
            raise TooManyError(f"too many failures; wait {max(wait_s, 1):.0f} seconds")

    def count(self, who: str) -> None:
        """Remember that ``who`` was wrong just now."""
        if len(self._failures) >= _KEYS:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(who, deque(maxlen=MOST)).append(self.clock())

    def _recent(self, who: str) -> deque[float]:
        recent = self._failures.get(who, deque())
        while recent and recent[0] + WITHIN_S <= self.clock():
            recent.popleft()
        if not recent:
            self._failures.pop(who, None)
        return recent
