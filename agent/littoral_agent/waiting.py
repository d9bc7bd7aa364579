"""What a person sees while an operator decides: one line that lives, on a terminal."""

import time
from types import TracebackType
from typing import Self, TextIO

from littoral.wire.enrolment import Waiting


class Progress:
    """The line, on ``stream``; where that is no terminal, it is said once.

    A person who stops waiting is told that nothing is lost.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._live = stream, stream.isatty()
        self._begun_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._begun_s is None:
            return
        if self._live:
            self._say("\n")
        if isinstance(error, KeyboardInterrupt):
            self._say("the claim waits on in the console; the same command goes on later\n")

    def told(self, waiting: Waiting, fingerprint: str) -> None:
        """Say that an operator decides, what to compare, and how long it takes so far."""
        first = self._begun_s is None
        if self._begun_s is None:
            self._begun_s = time.monotonic()
            self._say(
                f"An operator has to approve {waiting.device!r}, claim {waiting.claim}.\n"
                f"The key of this board:  {fingerprint}\n"
                "Compare it with the console: Devices → waiting, or 'littoral fleet claims'.\n"
            )
        if self._live:
            minutes, seconds = divmod(int(time.monotonic() - self._begun_s), 60)
            self._say(f"\rwaiting {minutes}:{seconds:02} (Ctrl-C stops; it can go on later) ")
        elif first:
            self._say("waiting\n")

    def _say(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
