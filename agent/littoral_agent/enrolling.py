"""The thread that enrols the board by itself, by the credential that its image brought along.

Each attempt is a process of its own (littoral_agent.join). What may pass is tried again and
again with pauses that grow; what will not be mended by waiting is said once and tried rarely,
for somebody may make it good on the console's side.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from littoral import records
from littoral.backoff import Backoff, jitter
from littoral.errors import (
    ChildError,
    DiskFullError,
    ProxyError,
    SlowError,
    StorageError,
    UnreachableError,
    WaitingError,
)
from littoral.tree import Tree
from littoral_agent.child import Child
from littoral_agent.join import MOST_BYTES, Outcome
from littoral_agent.settings import Settings

RARELY_S: Final = 3600.0
WAITING_MOST_S: Final = 300.0  # between two questions while an operator has not decided
ATTEMPT_S: Final = 300.0  # of slow connections on a slow board
_PASSES: Final = frozenset(
    kind.code
    for kind in (UnreachableError, ProxyError, StorageError, DiskFullError, SlowError, ChildError)
)

log = logging.getLogger(__name__)


class Pauses:
    """How long to wait after an attempt. Pure, but for the jitter."""

    def __init__(self, settings: Settings) -> None:
        self._failed = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._waiting: Backoff | None = None

    def after(self, outcome: Outcome) -> float:
        """Return the pause in seconds."""
        if outcome.code == WaitingError.code:
            self._failed.reset()
            if self._waiting is None:
                self._waiting = Backoff(max(outcome.retry_s, 0.1), WAITING_MOST_S)
            return self._waiting.next()
        return self._failed.next() if outcome.code in _PASSES else jitter(RARELY_S)


class Enrolling:
    """Tries until the board is a device. ``outcome`` is how it went last."""

    def __init__(
        self,
        tree: Tree,
        settings: Settings,
        file: Path,
        *,
        attempt: Callable[[Tree, Path], Outcome] | None = None,
    ) -> None:
        self._tree, self._file = tree, file
        self._pauses = Pauses(settings)
        self._attempt = attempt or self._in_a_child
        self._child = Child()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="enrolling", daemon=True)
        self.outcome = Outcome()

    def start(self) -> None:
        log.info("enrolling by the credential %s", self._file)
        self._thread.start()

    def stop(self) -> None:
        """End, and an attempt under way with it: it can be made again."""
        self._stopped.set()
        self._child.stop()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            found = self._attempt(self._tree, self._file)
            if self._stopped.is_set():
                return
            if found.code is None:
                log.info("enrolled as %s", found.words)
                return
            if (found.code, found.words) != (self.outcome.code, self.outcome.words):
                log.warning("%s [%s]", found.words, found.code)
            self.outcome = found
            self._stopped.wait(self._pauses.after(found))

    def _in_a_child(self, tree: Tree, file: Path) -> Outcome:
        words = ("littoral_agent.join", str(tree.root), str(file))
        try:
            said = self._child.python(*words, within_s=ATTEMPT_S).answer
            return records.from_json(Outcome, said, limit=MOST_BYTES)
        except (ChildError, records.RecordError) as e:
            return Outcome(code=ChildError.code, words=f"enrolling was not finished: {e}")
