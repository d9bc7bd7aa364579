"""How many bytes this device has brought this month, so that it keeps to what it may bring.

First the promise: a block is written down as used before its bytes are asked for, so that a kill
counts at most one block too many and never one too few. A month is one of UTC, by the trusted
clock; what is written of a month that has not come yet counts until the time is sure.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from littoral import durable, records
from littoral.errors import OverAllowanceError, SpentError, StorageError
from littoral.sizes import size
from littoral_agent.streams import CHUNK_BYTES

BLOCK_BYTES: Final = 256 * 1024
_MAX_BYTES: Final = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    month: str  # as 2026-11
    promised_bytes: int

    def __post_init__(self) -> None:
        if self.promised_bytes < 0:
            raise ValueError("fewer bytes than none")


class Usage:
    """What was brought, of ``most_bytes`` a month. Threads may share it.

    ``now`` is the trusted clock's; ``sure`` says whether that is the time, and no lower bound.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_bytes: int,
        now: Callable[[], datetime],
        sure: Callable[[], bool],
    ) -> None:
        self._path, self._most, self._now, self._sure = path, most_bytes, now, sure
        self._lock = threading.Lock()
        held = _read(path)
        self._month, self._promised = held.month, held.promised_bytes
        self._used = self._promised  # what a kill left of a block is gone

    @property
    def most_bytes(self) -> int:
        return self._most

    @property
    def promised_bytes(self) -> int:
        """Return what counts as used this month on the disk: some of it may be to come yet."""
        with self._lock:
            self._turn()
            return self._promised

    @property
    def left_bytes(self) -> int:
        """Return what may still be brought this month."""
        with self._lock:
            self._turn()
            return self._left()

    def check(self, needed: int) -> None:
        """Do nothing if ``needed`` bytes may be brought this month.

        Raises:
            OverAllowanceError: They are more than any month has.
            SpentError: They are more than what is left of this one.

        """
        if needed > self._most:
            raise OverAllowanceError(
                f"it takes {size(needed)}, and bytes_per_month allows {size(self._most)}; "
                "raise that, or bring it on a stick"
            )
        if needed > self.left_bytes:
            raise self._spent(needed)

    def counted(self, chunks: Iterator[bytes], *, expected: int) -> Iterator[bytes]:
        """Walk ``chunks``, of ``expected`` bytes together, asking for each before it comes.

        Raises:
            SpentError: The next one is more than what is left of this month.
            StorageError: It cannot be written down.

        """
        try:
            while True:
                asked = max(0, min(CHUNK_BYTES, expected))
                self._ask(asked)
                came = 0
                try:
                    chunk = next(chunks, b"")
                    came = len(chunk)
                finally:
                    self._give_back(asked - came)
                if not chunk:
                    return
                expected -= came
                yield chunk
        finally:
            self._settle()

    def _ask(self, count: int) -> None:
        with self._lock:
            self._turn()
            if self._used + count > self._most:
                raise self._spent(count)
            if self._used + count > self._promised:
                self._write(min(self._used + max(count, BLOCK_BYTES), self._most))
            self._used += count

    def _give_back(self, count: int) -> None:
        with self._lock:
            self._used = max(0, self._used - count)

    def _settle(self) -> None:
        """Write down what was used, no more; whoever reads on asks again."""
        with self._lock:
            if self._promised == self._used:
                return
            try:
                self._write(self._used)
            except StorageError as e:
                log.warning("up to %d bytes count as used: %s", BLOCK_BYTES, e)

    def _write(self, promised: int) -> None:
        said = _Month(month=self._month, promised_bytes=promised)
        durable.replace(self._path, records.to_json(said))
        self._promised = promised

    def _turn(self) -> None:
        """Begin anew if this is another month."""
        here = f"{self._now().astimezone(UTC):%Y-%m}"
        if here > self._month or (here != self._month and self._sure()):
            self._month, self._used, self._promised = here, 0, 0

    def _left(self) -> int:
        return max(0, self._most - self._used)

    def _spent(self, needed: int) -> SpentError:
        now = self._now().astimezone(UTC)
        until = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        return SpentError(
            f"it takes {size(needed)}, and of this month's {size(self._most)} "
            f"{size(self._left())} are left; it waits until {until:%Y-%m-%d} (UTC)",
            until=until,
        )


def _read(path: Path) -> _Month:
    try:
        return records.from_json(_Month, path.read_bytes(), limit=_MAX_BYTES)
    except FileNotFoundError:
        pass
    except (OSError, records.RecordError) as e:
        log.warning("what was brought this month is counted anew: %s cannot be read: %s", path, e)
    return _Month(month="", promised_bytes=0)
