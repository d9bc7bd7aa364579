"""The console's repository as it comes over the broker, in blocks: for who reaches nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from littoral.errors import EndlessError
from littoral.wire.blocks import MOST_BLOCK, TIME
from littoral_agent.blocks import Blocks
from littoral_agent.streams import Stream

_TIME_BYTES: Final = 4096


class Relayed:
    """A littoral.trust.client.Fetch, and a source of files. Threads may share it."""

    offline = lags = False

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    def __str__(self) -> str:
        return "the broker"

    def __call__(self, name: str, *, limit: int) -> bytes:
        """Return the file ``name``, of at most ``limit`` bytes.

        Raises:
            EndlessError: It is longer.
            ForgottenError, SlowError, UnreachableError: As Transfer.

        """
        found = bytearray()
        with self._blocks.transfer(name, first=MOST_BLOCK) as transfer:
            for chunk in transfer:
                if transfer.spans.total > limit:
                    raise EndlessError(name, limit=limit)
                found += chunk
        return bytes(found)

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        """Open the file ``name`` from byte ``start``; whether it is there, its chunks say."""
        with self._blocks.transfer(name, start=start) as transfer:
            yield Stream(start, None, transfer, transfer.end)

    def time(self, nonce: str) -> bytes:
        """Return the console's answer to ``nonce``: a SignedTime in JSON. Raises as a call."""
        return self(TIME + nonce, limit=_TIME_BYTES)
