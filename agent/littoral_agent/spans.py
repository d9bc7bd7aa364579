"""Which bytes of one file are to be asked for over a broker, under way, lost, or here.

Rules only. Answers come in the order of the asks; so what comes before an older one's says that
the older one is lost, and it is to be asked for first.
"""

from dataclasses import dataclass

from littoral.errors import UnreachableError
from littoral.wire.blocks import Block


@dataclass(slots=True, kw_only=True)
class Asked:
    """An ask that is under way, as far as it is not answered."""

    number: int
    start: int
    end: int
    sent_s: float
    sent_at: int  # how many bytes had come in all by then
    alone: bool = True  # nothing came of it, and it was sent once


class Spans:
    """Of one file, from byte ``start`` on. Not safe to share between threads."""

    def __init__(self, name: str, start: int) -> None:
        self.name, self.total = name, -1  # -1: not known yet
        self.under_way: dict[int, Asked] = {}  # by number, in the order in which they were sent
        self._later: dict[int, int] = {}  # numbers that were asked again, and as what
        self._lost: list[tuple[int, int]] = []
        self._here: dict[int, bytes] = {}
        self._asked_to = self._read_to = start

    @property
    def known(self) -> bool:
        return self.total >= 0

    @property
    def done(self) -> bool:
        """Whether all of it was taken."""
        return self.known and self._read_to >= self.total

    @property
    def held(self) -> int:
        """Return how many bytes are under way, or are here and wait to be taken."""
        asked = sum(one.end - one.start for one in self.under_way.values())
        return asked + sum(map(len, self._here.values()))

    @property
    def stuck(self) -> bool:
        """Whether nothing is under way, and what comes next was lost: what is here waits for it."""
        return bool(self._lost) and not self.under_way

    def next(self, most: int) -> tuple[int, int] | None:
        """Return from where to where to ask now, of ``most`` bytes; None if all is asked for."""
        if self._lost:
            self._lost.sort()
            start, end = self._lost.pop(0)
            if end - start > most:
                self._lost.append((start + most, end))
                end = start + most
            return start, end
        start, end = self._asked_to, self._asked_to + most
        if self.known:
            end = min(end, self.total)
        if end <= start:
            return None
        self._asked_to = end
        return start, end

    def sent(self, asked: Asked) -> None:
        self.under_way[asked.number] = asked

    def oldest(self) -> Asked | None:
        """Return the oldest ask that is under way, to be sent again under another number.

        What still comes of it under the present one is welcome.
        """
        if not self.under_way:
            return None
        old = next(iter(self.under_way))
        return self.under_way.pop(old)

    def sent_again(self, asked: Asked, *, before: int) -> None:
        """Take note that ``asked`` bears another number now than ``before``."""
        asked.alone = False
        self._later = {k: asked.number if v == before else v for k, v in self._later.items()}
        self._later[before] = asked.number
        self.under_way[asked.number] = asked

    def lose_all(self) -> None:
        """Take all that is under way for lost."""
        self._lose_before(-1)

    def came(self, block: Block) -> Asked | None:
        """Take a block; return the ask that it answers, None if it brings nothing.

        Raises:
            UnreachableError: The file is not what it was when the first block came.

        """
        number = self._later.get(block.number, block.number)
        asked = self.under_way.get(number)
        if asked is None:
            return None
        self._learn(block.total)
        fits = asked.start <= block.start and block.end <= asked.end
        if not fits or (not block.data and asked.end > asked.start):
            return None
        if number == block.number:
            self._lose_before(number)
        if block.start > asked.start:
            self._lost.append((asked.start, block.start))
        if block.data:
            self._here[block.start] = block.data
        asked.start = block.end
        if asked.start >= asked.end:
            del self.under_way[number]
        return asked

    def take(self) -> bytes | None:
        """Return the next bytes of the file, if they are here."""
        chunk = self._here.pop(self._read_to, None)
        if chunk is not None:
            self._read_to += len(chunk)
        return chunk

    def _learn(self, total: int) -> None:
        if self.known and total != self.total:
            raise UnreachableError(f"{self.name}: it changed while it came")
        if not self.known:  # and so there is one ask under way
            self.total = total
            for asked in self.under_way.values():
                asked.end = max(asked.start, min(asked.end, total))

    def _lose_before(self, number: int) -> None:
        for older in list(self.under_way):
            if older == number:
                return
            lost = self.under_way.pop(older)
            self._lost.append((lost.start, lost.end))
