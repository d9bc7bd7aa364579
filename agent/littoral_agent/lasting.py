"""Whether what is wanted has not come for a while. Pure but for the clock.

Networks flap, and who tries again soon needs nobody's help: only what lasts is told. While it is
the same, the same is told, whatever words each try ends with.
"""

import time
from collections.abc import Callable
from typing import Final

from littoral.errors import LittoralError
from littoral.wire.messages import Unreached
from littoral_agent.agenda import FartherError
from littoral_agent.saying import MOST_DETAIL

LONG_S: Final = 15.0


class Lasting:
    """What keeps what is wanted away. One thread sees, any may read ``told``."""

    def __init__(
        self, now_ms: Callable[[], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_ms, self._clock = now_ms, clock
        self._since_s: float | None = None
        self._since_ms = 0
        self.told: Unreached | None = None

    def see(self, why: LittoralError | None) -> bool:
        """Take note of ``why`` nothing comes now; return whether there is something else to tell.

        What was cut off and came farther than before is on its way.
        """
        before = self.told
        if why is None or isinstance(why, FartherError):
            self._since_s = self.told = None
        elif self._since_s is None:
            self._since_s, self._since_ms = self._clock(), self._now_ms()
        elif self._clock() - self._since_s >= LONG_S and (
            self.told is None or self.told.code != why.code
        ):
            self.told = Unreached(
                code=why.code, detail=str(why)[:MOST_DETAIL], since_ms=self._since_ms
            )
        return self.told != before
