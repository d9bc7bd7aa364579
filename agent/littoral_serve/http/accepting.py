"""What is said where no connection can be taken: asyncio tells each attempt with a traceback.

It tries again every second, up to a hundred times at once, as long as descriptors are out: that
would fill a journal. Knows no server.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from typing import Any, Final

_OUT: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EVERY_S: Final = 60.0

log = logging.getLogger(__name__)


class Refusing:
    """An exception handler of a loop; ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next_s = clock, 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _OUT or "socket" not in context:
            loop.default_exception_handler(context)
        elif (now := self._clock()) >= self._next_s:
            self._next_s = now + _EVERY_S
            log.error("no further connection is taken for now: %s", error.strerror)
