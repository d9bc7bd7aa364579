"""Reports on their way into the spool. What the disk does not take now waits in memory.

Every report has an id, by which the spool takes it once: it may be told again after a power
cut, or each time that a refused release is looked at. The console is told a digest of it, and
takes once what the spool no longer remembers.
"""

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from littoral.errors import StorageError
from littoral.wire.journal import Said
from littoral.wire.messages import Benched, Key, Kind, Report
from littoral.wire.update import Update
from littoral_agent.spool import Spool

_DIGITS: Final = 32  # of a digest: as many as no two ids of a device share

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: str
    time_ms: int
    kind: Kind
    update: Update | None
    detail: str
    code: str | None
    bench: Benched | None = None

    def body(self, key: Key) -> bytes:
        report = Report(
            key=key,
            once=hashlib.sha256(self.id.encode()).hexdigest()[:_DIGITS],
            time_ms=self.time_ms,
            kind=self.kind,
            update=self.update,
            detail=self.detail,
            code=self.code,
            bench=self.bench,
        )
        return report.to_json()


class Reports:
    """Hands reports to ``spool``; None: the device is nobody's, and nobody hears. Any thread.

    ``now_ms`` returns milliseconds since 1970 by the trusted clock.
    """

    def __init__(self, spool: Spool | None, *, now_ms: Callable[[], int]) -> None:
        self._spool, self.now_ms = spool, now_ms
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._warned = False

    def step(self, said: Said) -> None:
        """Tell of a step of an update's life, as the journal has it."""
        self._add(_Waiting(said.id, said.time_ms, "update", said.update, "", None))

    def waits(self, name: str) -> bool:
        """Whether the report of that id is still in memory alone."""
        with self._lock:
            return any(one.id == name for one in self._waiting)

    def tell(
        self,
        kind: Kind,
        detail: str,
        *,
        update: Update | None = None,
        code: str | None = None,
        once: str | None = None,
    ) -> None:
        """Tell of something else, ``once`` for ever if that names it."""
        name = once or secrets.token_hex(8)
        self._add(_Waiting(name, self.now_ms(), kind, update, detail, code))

    def benched(self, found: Benched) -> None:
        """Tell what was measured here."""
        name = secrets.token_hex(8)
        detail = f"{found.target} on {found.board}: {found.backend}, {found.scenario}"
        self._add(_Waiting(name, self.now_ms(), "bench", None, detail, None, found))

    def flush(self) -> None:
        """Hand over what waits, and what is to be said of dropped telemetry."""
        if self._spool is None:
            return
        with self._lock:
            try:
                while self._waiting:
                    first = self._waiting[0]
                    self._spool.add("report", first.body, once=first.id)
                    del self._waiting[0]
                    self._warned = False
            except StorageError as e:
                if not self._warned:
                    log.warning("a report waits for the disk: %s [%s]", e, e.code)
                self._warned = True

    def dropped(self) -> None:
        """Say how much telemetry was dropped, if any was, now that somebody listens."""
        if self._spool is None:
            return
        try:
            self._spool.tell_dropped(self._dropped)
        except StorageError as e:
            log.warning("what was dropped is told later: %s [%s]", e, e.code)

    def _dropped(self, key: Key, count: int) -> bytes:
        detail = f"{count} messages were dropped before they could be sent"
        name = secrets.token_hex(8)
        return _Waiting(name, self.now_ms(), "dropped", None, detail, None).body(key)

    def _add(self, waiting: _Waiting) -> None:
        with self._lock:
            if self._spool is None or any(one.id == waiting.id for one in self._waiting):
                return
            self._waiting.append(waiting)
        self.flush()
