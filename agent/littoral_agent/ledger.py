"""The journals of all models: in memory, and on the disk as far as it takes them.

What is proven is written a second time, beside each. What a journal leads to is not known here.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from littoral import durable
from littoral.errors import JournalError, StorageError
from littoral.journal_log import about
from littoral.tree import Tree
from littoral.wire import journal as journals
from littoral.wire.journal import Choice, Journal, State

PATIENCE_S: Final = (0.1, 0.4)  # between looks at a journal that the disk does not give

T = TypeVar("T")

log = logging.getLogger(__name__)


class Ledger:
    """What is promised of each model. One thread at a time."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._proven: dict[str, Choice | None] = {}  # what stands beside the journals
        self._alone: set[str] = set()  # what is proven of them could not be written beside
        self._unwritten: set[str] = set()  # going back did not wait for a disk that took nothing
        self.journals: dict[str, Journal] = {}

    def read(self) -> dict[str, JournalError]:
        """Read all journals; return those that cannot be read.

        They are set aside; of their models is remembered what was proven last.
        """
        unreadable = {}
        for path in _patiently(lambda: list(journals.find(self._tree.journals))):
            model = path.stem
            try:
                self.journals[model] = _patiently(partial(journals.read, path))
            except JournalError as e:
                kept = durable.set_aside(path).name
                log.warning("%s; it is kept as %s", e, kept, extra=about(model))
                unreadable[model] = e
                self._recall(model)
        for model, held in self.journals.items():
            proven = journals.read_proven(self._tree.journal(model))
            self._proven[model] = proven.good if proven else None
            self._keep_proven(model, held)
        return unreadable

    def write(self, model: str, after: Journal) -> None:
        """Promise ``after``. Raises StorageError when the disk does not keep it."""
        journals.write(self._tree.journal(model), after)
        self.journals[model] = after
        self._keep_proven(model, after)

    def promise(self, model: str, before: Journal, after: Journal) -> None:
        """Promise ``after``; going back does not wait for a disk.

        Raises:
            StorageError: The disk does not keep it, and it is no going back.

        """
        try:
            self.write(model, after)
        except StorageError as e:
            if before.state is not State.PROBATION or after.running != before.good:
                raise
            # Until the disk takes this journal, what stands on it leads here again.
            log.warning("%s: going back, although %s [%s]", model, e, e.code, extra=about(model))
            self.journals[model] = after
            self._unwritten.add(model)

    def catch_up(self, model: str) -> None:
        """Write what the disk did not take before, if it takes it now."""
        self._keep_proven(model, self.journals[model])
        if model not in self._unwritten:
            return
        try:
            self.write(model, self.journals[model])
        except StorageError:
            return
        self._unwritten.discard(model)

    def _recall(self, model: str) -> None:
        """Go on from what was proven last of a model whose journal is lost."""
        held = journals.read_proven(self._tree.journal(model))
        if held is None:
            return
        self.journals[model] = held
        try:
            self.write(model, held)
        except StorageError as e:
            log.warning("%s: going on, although %s [%s]", model, e, e.code, extra=about(model))

    def _keep_proven(self, model: str, held: Journal) -> None:
        """Write what is proven a second time, beside the journal, when that changed."""
        if self._proven.get(model) == held.good:
            return
        path = self._tree.journal(model)
        try:
            if held.good is None:
                durable.remove(journals.proven(path))
            else:
                journals.write_proven(path, held)
        except StorageError as e:
            if model not in self._alone:
                words = "%s: what is proven stands in its journal alone: %s [%s]"
                log.warning(words, model, e, e.code, extra=about(model))
            self._alone.add(model)
        else:
            self._proven[model] = held.good
            self._alone.discard(model)


def _patiently(read: Callable[[], T]) -> T:
    """Return what ``read`` does; what the disk, or a full table of files, refuses may come yet."""
    for pause_s in PATIENCE_S:
        try:
            return read()
        except (OSError, StorageError) as e:
            if isinstance(e, StorageError) and not isinstance(e.__cause__, OSError):
                raise
            log.warning("reading it again in %.1f s: %s [%s]", pause_s, e, StorageError.code)
            time.sleep(pause_s)
    return read()
