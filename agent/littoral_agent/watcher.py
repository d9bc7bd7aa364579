"""The thread that looks at serve: whether it is there, what it runs, what it measured."""

import logging
import threading
import time
from collections.abc import Callable

from littoral.errors import LittoralError
from littoral.wire.control import Serving
from littoral_agent import telemetry
from littoral_agent.control import Control, ServeDownError
from littoral_agent.settings import Settings
from littoral_agent.spool import Spool

log = logging.getLogger(__name__)


class Watcher:
    """Keeps what serve said last.

    ``started`` is called when serve is there and was not, or is another process; ``changed``
    when it runs something else; ``busy`` says whether any candidate is on probation,
    ``ahead_s`` by how much the system's clock is ahead of the time.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control, self._settings, self._spool = control, settings, spool
        self._started, self._changed, self._busy = started, changed, busy
        self._ahead_s, self._clock = ahead_s, clock
        self._collected_s = clock()
        self._instance: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="serve", daemon=True)
        self.serving: Serving | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def look(self) -> None:
        """Look once."""
        before = _runs(self.serving)
        try:
            self.serving = self._control.state()
        except LittoralError as e:
            if self.serving is not None or not isinstance(e, ServeDownError):
                log.warning("%s [%s]", e, e.code)
            self.serving = None
        if _runs(self.serving) != before:
            self._changed()
        if self.serving is None:
            return
        if self.serving.instance != self._instance:
            self._instance = self.serving.instance
            log.info("serve is there, process %d", self.serving.pid)
            self._started()
        self._collect(self.serving.instance)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._settings.serve_poll_s)

    def _collect(self, instance: str) -> None:
        settings = self._settings
        probation = self._busy()
        window_s = (
            settings.telemetry_probation_window_s if probation else settings.telemetry_window_s
        )
        if self._spool is None or self._clock() - self._collected_s < window_s:
            return
        self._collected_s = self._clock()
        try:
            telemetry.collect(
                self._control,
                self._spool,
                instance=instance,
                window_s=window_s,
                ahead_s=self._ahead_s(),
            )
        except LittoralError as e:
            log.warning("telemetry waits: %s [%s]", e, e.code)


def _runs(serving: Serving | None) -> object:
    """Return what a status says of it: requests that come and go are no change."""
    if serving is None:
        return None
    return serving.instance, [(one.model, one.manifest, one.variant) for one in serving.models]
