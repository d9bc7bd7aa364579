"""The thread in which updates happen: hears documents, looks at them, does the deeds.

One thing at a time. Whoever hears a document drops it here and goes on; a download ends
between two chunks when a newer document waits, and what it brought is kept.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from littoral_agent.updater import Updater
from littoral_agent.wishes import Wishes

IDLE_S: Final = 60.0  # the longest nap
GLANCE_S: Final = 1.0  # how often the others are looked at during a download

log = logging.getLogger(__name__)


class InterruptedDownloadError(Exception):
    """Something else is to be done first; the download goes on where it is."""


class Worker:
    """Runs ``updater`` and, once the device is enrolled, ``wishes``.

    ``hear``, ``serve_started`` and ``stop`` may come from any thread; ``between`` is what a
    download calls. ``changed`` is called after anything may have changed.
    """

    def __init__(
        self, updater: Updater, wishes: Wishes | None, *, changed: Callable[[], None]
    ) -> None:
        self._updater, self._wishes, self._changed = updater, wishes, changed
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._inbox: bytes | None = None
        self._serve_started = self._stopping = False
        self._glanced_s = 0.0
        self._thread = threading.Thread(target=self._run, name="update", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 10.0) -> None:
        """Stop after the deed that is being done, a download at once."""
        self._stopping = True
        self._waiting.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def hear(self, data: bytes) -> None:
        """Take a document of the director; it replaces one that was not looked at yet."""
        with self._lock:
            self._inbox = data
        self._waiting.set()

    def serve_started(self) -> None:
        """Serve is there, and was not, or is another one."""
        self._serve_started = True
        self._waiting.set()

    def between(self) -> None:
        """End the download if something else comes first; else have a glance at the others."""
        if self._waiting.is_set():
            raise InterruptedDownloadError
        if time.monotonic() - self._glanced_s >= GLANCE_S:
            self._glanced_s = time.monotonic()
            self._updater.work(quick=True)

    def _run(self) -> None:
        unreadable = self._updater.wake()
        if self._wishes is not None:
            self._wishes.wake(unreadable)
        while not self._stopping:
            self._waiting.clear()
            nap_s = self._turn()
            self._changed()
            self._waiting.wait(min(nap_s, IDLE_S))
        self._updater.rest()

    def _turn(self) -> float:
        """Do all that is due; return for how long nothing will be."""
        if self._serve_started:
            self._serve_started = False
            self._updater.run_again()
        with self._lock:
            heard, self._inbox = self._inbox, None
        try:
            if self._wishes is None:
                return self._updater.work()
            if heard is not None:
                self._wishes.hear(heard)
            self._wishes.work()
            self._updater.work()
            self._wishes.work()  # which may have found something to do
        except InterruptedDownloadError:
            return 0.0
        return min(self._updater.due_in_s(), self._wishes.due_in_s())
