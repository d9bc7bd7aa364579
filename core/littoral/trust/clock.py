"""What time it may be trusted to be, on a board that may have no clock of its own.

Two things are known: a floor below which the time cannot be, kept per key that vouched for
it and remembered across power cuts, and, once the console has answered a nonce, the time
itself, carried on by the clock that counts since boot. A system clock is only believed
above the floor, is never remembered, and gives way to signed time.

What a key claimed is forgotten when root no longer names that key, before expiry is judged:
else a stolen key that said "it is the year 2100" would have locked the fleet out for ever.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from littoral import durable, records
from littoral.errors import SlowError

if TYPE_CHECKING:
    from tuf.api.metadata import Root

    from littoral.trust.beliefs import Anchors
    from littoral.wire.enrolment import SignedTime

BUILT: Final = datetime(2025, 11, 1, tzinfo=UTC)  # it is later than this: raised by releases
MAX_RTT_S: Final = 10.0
PERSIST_EVERY: Final = timedelta(hours=1)
LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)  # a later claim is this: calendars end at 9999
_MAX_BYTES: Final = 64 * 1024

Source = Literal["floor-only", "system", "signed"]

log = logging.getLogger(__name__)


def system_clock() -> datetime:
    return datetime.now(UTC)


def since_boot_s() -> float:
    """Return seconds since boot, the time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Floors:
    floors_ms: dict[str, int] = field(default_factory=dict)  # by key id


@dataclass(frozen=True, slots=True)
class _Answer:
    when: datetime
    since_boot_s: float
    keyid: str


class TrustedClock:
    """The only clock by which expiry is judged. One thread learns; any may ask what time it is."""

    def __init__(
        self,
        path: Path,
        *,
        system: Callable[[], datetime] = system_clock,
        boottime: Callable[[], float] = since_boot_s,
        built: datetime = BUILT,
    ) -> None:
        self._path, self._system, self._boottime, self._built = path, system, boottime, built
        self._floors = _read(path)
        self._answer: _Answer | None = None

    def now(self) -> datetime:
        """Return the time: never below the floor, and the console's if it was asked."""
        answer = self._answer  # another thread may forget it at any moment
        if answer is None:
            return max(self._system(), self.floor)
        passed = timedelta(seconds=self._boottime() - answer.since_boot_s)
        return max(answer.when + passed, self.floor)

    @property
    def floor(self) -> datetime:
        return max((self._built, *self._floors.values()))

    @property
    def source(self) -> Source:
        """Return where ``now`` comes from."""
        if self._answer is not None:
            return "signed"
        return "system" if self._system() > self.floor else "floor-only"

    @property
    def system_ahead_s(self) -> float:
        """Return by how much the system's clock is ahead of ``now``; worth a report if large."""
        return (self._system() - self.now()).total_seconds()

    def raise_floor(self, when: datetime, keyid: str) -> None:
        """Remember that the key ``keyid`` said it is at least ``when``; lower says nothing."""
        when = min(when, LAST)
        if when > self._floors.get(keyid, self._built):
            self._keep({**self._floors, keyid: when})

    def answer(self, signed: "SignedTime", nonce: str, *, rtt_s: float, anchors: "Anchors") -> None:
        """Believe the console's answer to ``nonce``, which took ``rtt_s`` to come.

        Raises:
            SignatureError: No time key that root names signed it, or it is for another nonce.
            SlowError: It took so long that it says little.

        """
        from littoral.trust.keys import check_time

        when = check_time(signed, nonce, keys=anchors.time)
        if not 0 <= rtt_s < MAX_RTT_S:
            raise SlowError(f"time: the answer took {rtt_s:.1f} s; {MAX_RTT_S:.0f} are too many")
        when = min(when, LAST) + timedelta(seconds=rtt_s / 2)
        self._answer = _Answer(when, self._boottime(), signed.keyid)
        if when >= self._floors.get(signed.keyid, self._built) + PERSIST_EVERY:
            self.raise_floor(when, signed.keyid)

    def under(self, root: "Root") -> datetime:
        """Return the time after forgetting what keys said that ``root`` does not name."""
        from littoral.trust.rules import anchors

        named = anchors(root)
        self.forget_others({*root.keys, *named.director, *named.time})
        return self.now()

    def forget_others(self, keyids: Collection[str]) -> None:
        """Forget what any other key than ``keyids`` said."""
        if self._answer is not None and self._answer.keyid not in keyids:
            self._answer = None
        kept = {keyid: when for keyid, when in self._floors.items() if keyid in keyids}
        if kept != self._floors:
            self._keep(kept)

    def _keep(self, floors: dict[str, datetime]) -> None:
        ms = {keyid: round(when.timestamp() * 1000) for keyid, when in floors.items()}
        durable.replace(self._path, records.to_json(_Floors(floors_ms=ms)))
        self._floors = floors


def _read(path: Path) -> dict[str, datetime]:
    try:
        kept = records.from_json(_Floors, path.read_bytes(), limit=_MAX_BYTES)
        found = {k: datetime.fromtimestamp(ms / 1000, UTC) for k, ms in kept.floors_ms.items()}
        return {k: min(when, LAST) for k, when in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, OverflowError) as e:
        log.warning("the clock starts from its build time: %s cannot be read: %s", path, e)
        return {}
