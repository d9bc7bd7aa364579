"""What somebody did to a folder, and every state in which a power cut may leave that.

Who judges a state is somebody else's business: a Judge is told what happened, and asked.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from faults import crash_record
from faults.crash_disk import State
from faults.crash_promises import Promises
from faults.crash_trace import Replay, Step
from faults.tally import Tally

_FSYNCS: Final = ("sync", "idle")


@dataclass(frozen=True, slots=True)
class Recording:
    """What was done below ``root``, by one process after the other, from what lies in ``start``."""

    name: str
    root: str
    start: Path
    traces: tuple[Path, ...]
    judged: int = 0  # from which of the traces on: what was before is another recording's

    def sites(self) -> Counter[tuple[str, str]]:
        """Count the fsyncs, by whether they had anything to keep (sync or idle) and who asked."""
        found: Counter[tuple[str, str]] = Counter()
        replay = Replay(self.root, crash_record.load(self.start))
        for trace in self.traces:
            for step in replay.steps(trace):
                if step.kind in _FSYNCS:
                    found[step.kind, step.about] += 1
        return found


class Judge(Protocol):
    """Says what is wrong with a state."""

    def hear(self, step: Step, now: State) -> None:
        """Take note of what happened, and of what a reader sees then."""

    def judge(self, state: State) -> Iterator[str]:
        """Say what is wrong with what a power cut left: each line begins with its kind."""


def survey(
    recording: Recording, judge: Judge, tally: Tally, *, without: str | None = None
) -> Iterator[Tally]:
    """Have every state judged that ``recording`` can leave, fsyncs of one site left out.

    What the last call made possible is new after each call; after a promise, all that may be
    there is looked at again.
    """
    disk, promises = crash_record.load(recording.start), Promises()
    replay = Replay(recording.root, disk, without)
    for n, trace in enumerate(recording.traces):
        for step in replay.steps(trace):
            if step.kind in _FSYNCS:
                continue
            now = disk.now()
            if step.kind == "kept":
                promises.kept(step.about, now)
            elif step.kind == "call":
                promises.moved(step.about, now)
            judge.hear(step, now)
            if n < recording.judged:
                continue
            tally.points[recording.name] += step.kind == "call"
            seen: set[bytes] = set()
            for state in disk.states(newest=step.kind == "call"):
                tally.count["states"] += 1
                word = key(state)
                if word not in seen:
                    seen.add(word)
                    wrong = [*promises.broken(state), *judge.judge(state)]
                    tally.blame(f"{recording.name}, at {step.kind} {step.about}", wrong)
            yield tally


def key(state: State) -> bytes:
    """Return one word for all that is in ``state``."""
    parts = ((path, held.digest if held else b"") for path, held in sorted(state.items()))
    return hashlib.blake2b(repr([*parts]).encode(), digest_size=16).digest()
