"""How far a candidate's files are on their way: for who looks on, it decides nothing.

Bytes are counted as they travel, in whatever encoding. What is known of one candidate is kept
while it is tried again and again, so that a part of it that is whole counts as come.
"""

from dataclasses import dataclass
from typing import Final

_STEPS: Final = 100  # who looks on is told no finer: each step is written down


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """So many bytes of so many."""

    done_bytes: int
    total_bytes: int


class Errand:
    """One candidate's files."""

    def __init__(self) -> None:
        self._total = self._left = 0

    def expect(self, left: int, *, held: int) -> None:
        """Take note that ``left`` bytes are still to come, beside what is ``held`` of theirs."""
        self._total = max(self._total, left + held)
        self._left = left

    def came(self, count: int) -> None:
        self._left = max(0, self._left - count)

    @property
    def progress(self) -> Progress | None:
        """Return how far it is, None where nothing has to come."""
        total = self._total
        if not total:
            return None
        step = max(1, total // _STEPS)
        return Progress(done_bytes=(total - self._left) // step * step, total_bytes=total)


class Coming:
    """What comes, by model. Threads share it: nobody is hurt by a figure that is a moment old."""

    def __init__(self) -> None:
        self._errands: dict[str, tuple[str, Errand]] = {}

    def of(self, model: str, manifest: str) -> Errand:
        """Return the errand of a candidate, the same one as long as it is that one."""
        known, errand = self._errands.get(model, ("", Errand()))
        if known != manifest:
            errand = Errand()
        self._errands[model] = (manifest, errand)
        return errand

    def progress(self, model: str, manifest: str) -> Progress | None:
        """Return how far ``manifest`` is, None where it is not the one that comes."""
        known, errand = self._errands.get(model, ("", Errand()))
        return errand.progress if known == manifest else None
