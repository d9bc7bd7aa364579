"""The thread that looks: at serve, whether it is there and what it measured, and at the board."""

import logging
import threading
import time
from collections.abc import Callable

from littoral.errors import LittoralError
from littoral.wire.control import Serving
from littoral_agent import telemetry
from littoral_agent.board import alarms
from littoral_agent.board.sampler import Sampler
from littoral_agent.control import Control, ServeDownError
from littoral_agent.settings import Settings
from littoral_agent.spool import Spool
from littoral_agent.telemetry import Speed

log = logging.getLogger(__name__)


class Watcher:
    """Keeps what serve said last, and how fast it was in the last window.

    ``started`` is called when serve is there and was not, or is another process; ``changed``
    when it runs something else, or there is news of the board; ``busy`` says whether any
    candidate is on probation, ``ahead_s`` by how much the system's clock is ahead of the time.
    """

    def __init__(
        self,
        control: Control,
        settings: Settings,
        spool: Spool | None,
        *,
        started: Callable[[], None],
        changed: Callable[[], None],
        busy: Callable[[], bool],
        ahead_s: Callable[[], float] = lambda: 0.0,
        sampler: Sampler | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control, self._settings, self._spool = control, settings, spool
        self._started, self._changed, self._busy = started, changed, busy
        self._ahead_s, self._sampler, self._clock = ahead_s, sampler, clock
        self._collected_s = clock()
        self._instance: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="serve", daemon=True)
        self.serving: Serving | None = None
        self.speeds: tuple[Speed, ...] = ()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ask(self) -> None:
        """Ask serve what it runs just now. Any thread may."""
        before = _runs(self.serving)
        try:
            self.serving = self._control.state()
        except LittoralError as e:
            if self.serving is not None or not isinstance(e, ServeDownError):
                log.warning("%s [%s]", e, e.code)
            self.serving = None
        if _runs(self.serving) != before:
            self._changed()

    def look(self) -> None:
        """Look once."""
        self.ask()
        if self.serving is not None and self.serving.instance != self._instance:
            self._instance = self.serving.instance
            log.info("serve is there, process %d", self.serving.pid)
            self._started()
        if self._sampler is not None and self._sampler.look():
            self._changed()
        lost = self.serving is not None and any(one.lost for one in self.serving.models)
        if self._sampler is not None and lost and self._sampler.tell(alarms.LOST):
            self._changed()
        self._collect(self.serving.instance if self.serving else None)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._settings.serve_poll_s)

    def _collect(self, instance: str | None) -> None:
        settings = self._settings
        probation = self._busy()
        window_s = (
            settings.telemetry_probation_window_s if probation else settings.telemetry_window_s
        )
        if self._spool is None or self._clock() - self._collected_s < window_s:
            return
        self._collected_s = self._clock()
        board = self._sampler.window() if self._sampler else None
        try:
            collected = telemetry.collect(
                self._control,
                self._spool,
                instance=instance,
                window_s=window_s,
                ahead_s=self._ahead_s(),
                board=board,
            )
        except LittoralError as e:
            log.warning("telemetry waits: %s [%s]", e, e.code)
            return
        self.speeds = collected.speeds
        if self._sampler is not None and board is not None:
            self._sampler.forget(board.samples)


def _runs(serving: Serving | None) -> object:
    """Return what a status says of it: requests that come and go are no change."""
    if serving is None:
        return None
    return serving.instance, [
        (one.model, one.manifest, one.variant, one.instead) for one in serving.models
    ]
