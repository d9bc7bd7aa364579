"""Rules that a victim breaks on purpose, so that an oracle is seen to find it.

Each is a function that changes the agent's code in the victim's process, and nowhere else.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from littoral import durable
from littoral.wire import journal
from littoral.wire.control import Tried, Try
from littoral.wire.journal import Journal
from littoral_agent import life, part
from littoral_agent.control import Control
from littoral_agent.deeds import collecting
from littoral_agent.ledger import Ledger
from littoral_agent.reports import Reports
from littoral_agent.update import TABLE, Do, Event, Outcome, Step, step
from littoral_agent.wishes import Wishes


def break_(where: object, name: str, other: object) -> None:
    """Put ``other`` in the place of what is called ``name``, for as long as the process lives."""
    patch.object(where, name, other).start()


def in_place() -> None:
    """A file that matters is written where it stands, not beside and renamed."""

    def write(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        for at in range(0, len(data), 64):
            os.write(fd, data[at : at + 64])
        os.fsync(fd)
        os.close(fd)

    break_(durable, "replace", write)


def named_early() -> None:
    """A download bears its final name before it is whole."""
    begin = part.Part.__init__

    def init(self: Any, file: Any, tree: Any) -> None:
        begin(self, file, tree)
        self._path = self._whole

    break_(part.Part, "__init__", init)


def undigested() -> None:
    """What a decoder gives is the file, whatever it is."""
    break_(part.Part, "is_true", property(lambda _: True))


def trusted_early() -> None:
    """A candidate is good as soon as its self-test passed."""

    def early(before: Journal, outcome: Outcome, **more: Any) -> Step:
        taken = step(before, outcome, **more)
        if taken.event is Event.PASSED:
            good = replace(taken.journal, good=taken.journal.candidate)
            return Step(good, taken.deeds, taken.event)
        return taken

    break_(life, "step", early)


def collected_early() -> None:
    """What is no longer good is deleted before it is promised that something else is."""
    promise = Ledger.promise

    def eager(self: Ledger, model: str, before: Journal, after: Journal) -> None:
        doomed = before.good if before.good != after.good else None
        if doomed is not None:
            self._tree.manifest(doomed.manifest).unlink(missing_ok=True)
        promise(self, model, before, after)

    break_(Ledger, "promise", eager)


def said_anew() -> None:
    """A report bears another id each time that it is told."""
    step_of = Reports.step

    def anew(self: Any, said: Any) -> None:
        step_of(self, replace(said, id=os.urandom(8).hex()))

    break_(Reports, "step", anew)


def said_apart() -> None:
    """A report is not written with the step that it tells of, but told afterwards."""
    write = journal.write

    def apart(path: Path, held: Journal) -> None:
        write(path, replace(held, said=None))

    break_(journal, "write", apart)


def never_collected() -> None:
    """What is nobody's stays."""
    break_(collecting, "do", lambda *_: None)


def woken_to_nothing() -> None:
    """An agent that wakes in the middle of an update does nothing about it."""
    for (state, event), (after, _) in list(TABLE.items()):
        if event is Event.WOKE:
            TABLE[state, event] = (after, (Do.RUN,))
    break_(Wishes, "_settled", property(lambda _: True))
    hear = Wishes.hear

    def deaf(wishes: Wishes, data: bytes, **more: bool) -> None:
        if not any(held.candidate for held in wishes._life.journals.values()):
            hear(wishes, data, **more)

    break_(Wishes, "hear", deaf)


def blind() -> None:
    """Whatever a self-test found, the candidate passed."""
    try_ = Control.try_

    def passed(self: Control, order: Try) -> Tried:
        return replace(try_(self, order), code=None)

    break_(Control, "try_", passed)


def litter() -> None:
    """What was begun beside a file stays when the disk refuses, and under a name of its own."""
    unlink = Path.unlink

    def keep(path: Path, *, missing_ok: bool = False) -> None:
        if path.name.endswith(".new"):
            path.rename(path.with_name(f"{path.name}.{os.urandom(4).hex()}.new"))
        else:
            unlink(path, missing_ok=missing_ok)

    break_(Path, "unlink", keep)


BROKEN: Final[dict[str, Callable[[], None]]] = {
    one.__name__: one
    for one in (
        in_place,
        named_early,
        undigested,
        trusted_early,
        collected_early,
        said_anew,
        said_apart,
        never_collected,
        woken_to_nothing,
        litter,
        blind,
    )
}
