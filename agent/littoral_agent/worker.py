"""The thread in which updates are decided: hears documents, looks at them, has deeds done.

Whoever hears a document drops it here and goes on. What takes long is done by other hands, and
what came of it is taken here: nothing is decided by two threads.
"""

import threading
from collections.abc import Callable
from typing import Final

from littoral_agent.hands import Hands
from littoral_agent.life import Life
from littoral_agent.wishes import Wishes

IDLE_S: Final = 60.0  # the longest nap


class Worker:
    """Runs ``life`` and, once the device is enrolled, ``wishes``.

    ``hear``, ``serve_started`` and ``stop`` may come from any thread. ``changed`` is called
    after anything may have changed.
    """

    def __init__(
        self, life: Life, wishes: Wishes | None, hands: Hands, *, changed: Callable[[], None]
    ) -> None:
        self._life, self._wishes, self._hands, self._changed = life, wishes, hands, changed
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._inbox: dict[bool, bytes] = {}  # by whether a medium brought it
        self._serve_started = self._stopping = False
        self._resting = False
        self._thread = threading.Thread(target=self._run, name="update", daemon=True)
        hands.woken = self._waiting.set

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 10.0) -> None:
        """Stop at once; what is being done is halted."""
        self._stopping = True
        self._waiting.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)

    @property
    def resting(self) -> bool:
        """Whether all that was heard was looked at, and nothing is being looked up or due."""
        looking = self._wishes is not None and self._wishes.looking
        return self._resting and not looking

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def hear(self, data: bytes, *, offline: bool = False) -> None:
        """Take a document of the director; it replaces one that was not looked at yet.

        ``offline`` says that a medium brought it: that one never replaces the console's own.
        """
        with self._lock:
            self._inbox[offline] = data
            self._resting = False
        self._waiting.set()

    def serve_started(self) -> None:
        """Serve is there, and was not, or is another one."""
        self._serve_started = True
        self._waiting.set()

    def wake(self) -> None:
        """Take up what was promised before."""
        unreadable = self._life.wake()
        if self._wishes is not None:
            self._wishes.wake(unreadable)

    def turn(self) -> float:
        """Do all that is due; return for how many seconds nothing will be."""
        if self._serve_started:
            self._serve_started = False
            self._life.agenda.serve_started()
        with self._lock:
            heard, self._inbox = self._inbox, {}
        if (wishes := self._wishes) is not None:
            for offline in sorted(heard):
                wishes.hear(heard[offline], offline=offline)
        self._work()
        while self._hands.settle():
            self._work()
        if self._wishes is None:
            return self._life.agenda.due_in_s()
        self._wishes.work()  # which may have found something to do
        return min(self._life.agenda.due_in_s(), self._wishes.due_in_s())

    def _work(self) -> None:
        if self._wishes is not None:
            self._wishes.work()
        self._life.work()

    def _run(self) -> None:
        self.wake()
        while not self._stopping:
            self._waiting.clear()
            self._resting = False
            nap_s = self.turn()
            with self._lock:
                self._resting = nap_s > 0 and not self._inbox
            self._changed()
            self._waiting.wait(min(nap_s, IDLE_S))
        self._hands.halt()
        self._life.promises.rest()
