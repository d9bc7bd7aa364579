"""The bytes of one file, and all that may be found of them after power was lost.

Of the writes since the last fsync any may be there: each prefix, each one missing, each one alone
(and every set of them, up to four), the last one torn at a sector or a page, or its length
alone, over zeros or what lay on the disk before.
"""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

SECTOR: Final = 512
PAGE: Final = 4096
STALE: Final = b"\xa5"  # what lay on the disk before
MOST_SETS: Final = 4  # of so many writes every subset is tried


@dataclass(frozen=True)
class Held:
    """A file as it may be found."""

    data: bytes
    mode: int

    @cached_property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.data, digest_size=16, salt=self.mode.to_bytes(2)).digest()


@dataclass(frozen=True, slots=True)
class Write:
    """A change of a file's bytes; without ``data`` its length becomes ``at``."""

    at: int
    data: bytes | None = None

    def on(self, bytes_: bytearray) -> None:
        if self.data is None:
            del bytes_[self.at :]
            bytes_.extend(bytes(self.at - len(bytes_)))
            return
        bytes_.extend(bytes(max(0, self.at - len(bytes_))))
        bytes_[self.at : self.at + len(self.data)] = self.data

    def torn(self) -> Iterator["Write"]:
        """Return what may be there of it: up to a sector's or a page's end, or from there."""
        if self.data is None:
            return
        end = self.at + len(self.data)
        cuts = set()
        for unit in (SECTOR, PAGE):
            first, last = -(-(self.at + 1) // unit) * unit, (end - 1) // unit * unit
            cuts |= {cut for cut in (first, last) if self.at < cut < end}
        yield from (Write(self.at, self.data[: cut - self.at]) for cut in sorted(cuts))
        yield from (Write(cut, self.data[cut - self.at :]) for cut in sorted(cuts)[:1])


@dataclass(eq=False)
class File:
    """Bytes and mode: as an fsync kept them, what came since, and as a reader sees them."""

    kept: bytes = b""
    kept_mode: int = 0
    mode: int = 0
    writes: list[Write] = field(default_factory=list)
    now: bytearray = field(default_factory=bytearray)
    seen: Held | None = None

    def sync(self, *, mode: bool) -> None:
        self.kept, self.writes = bytes(self.now), []
        self.kept_mode = self.mode if mode else self.kept_mode

    @property
    def loose(self) -> bool:
        return bool(self.writes) or self.mode != self.kept_mode

    def held(self) -> Held:
        if self.seen is None:
            self.seen = Held(bytes(self.now), self.mode)
        return self.seen

    def found(self, *, newest: bool) -> list[Held]:
        """Return all that may be found of it; ``newest``: with something of the last write."""
        if not self.writes:
            modes = {self.mode} if newest else {self.mode, self.kept_mode}
            return [Held(self.kept, mode) for mode in sorted(modes)]
        datas = dict.fromkeys(self._datas(newest=newest))
        found = [Held(data, self.mode) for data in datas]
        if self.mode != self.kept_mode:
            found.append(Held(bytes(self.now), self.kept_mode))
        return found

    def _datas(self, *, newest: bool) -> Iterator[bytes]:
        for writes in self._sets(newest=newest):
            data = bytearray(self.kept)
            for write in writes:
                write.on(data)
            yield bytes(data)
        if len(self.now) > len(self.kept):
            for filling in (b"\0", STALE):
                yield self.kept + filling * (len(self.now) - len(self.kept))

    def _sets(self, *, newest: bool) -> Iterator[tuple[Write, ...]]:
        """Return which writes may be there, in their order."""
        writes, last = self.writes, len(self.writes) - 1
        first = last if newest else 0
        for n in range(first, last + 1):
            yield tuple(writes[: n + 1])
            yield from ((*writes[:n], torn) for torn in writes[n].torn())
        if not newest:
            yield ()
        if last < MOST_SETS:
            for chosen in itertools.product((False, True), repeat=last + 1):
                if chosen[last] or not newest:
                    yield tuple(itertools.compress(writes, chosen))
            return
        yield from (tuple(writes[:n] + writes[n + 1 :]) for n in range(last))
        yield from ((write,) for write in writes[first:])
