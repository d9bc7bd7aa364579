"""Carries a newer key through its life: when it is due, what is said, what is done to the files.

The life itself is littoral_agent.renewal's. What needs cryptography is done by a child, and
by a thread that waits for it: nothing here keeps a connection or the watchdog waiting.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from littoral import durable
from littoral.backoff import Backoff
from littoral.errors import LittoralError, MalformedError, StorageError, TrustError
from littoral.tree import Tree
from littoral.wire.identity import Renew, RenewRequest
from littoral_agent import certificate, child, identity
from littoral_agent.certificate import Certificate
from littoral_agent.identity import Enrolment
from littoral_agent.renewal import REFUSED, TABLE, Do, Event, Files, Pair, State

AGAIN_FIRST_S: Final = 30.0  # before a request that was not answered is said again, doubled up to …
AGAIN_MOST_S: Final = 3600.0
_CHILD_S: Final = 120.0

log = logging.getLogger(__name__)


class Renewer:
    """The life of one device's key. Every method may come from any thread.

    ``wake`` is called when there is something to send, ``anew`` when to connect again.
    """

    def __init__(
        self,
        tree: Tree,
        enrolment: Enrolment,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tree, self._enrolment, self._now, self._clock = tree, enrolment, now, clock
        self.files = Files(identity.of(tree), enrolment.incarnation)
        self.wake: Callable[[], None] = lambda: None
        self.anew: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._again = Backoff(AGAIN_FIRST_S, AGAIN_MOST_S)
        self._say_s = 0.0  # before then nothing is asked
        self._csr = ""
        self._replace = ""  # the certificate that the console wants replaced
        self._answer: bytes | None = None
        self._working = False
        self._chain = ""
        self._present: Certificate | None = None
        try:
            self.files.sweep()
        except StorageError as e:
            log.warning("%s [%s]", e, e.code)
        if self.files.state is State.PROVEN:
            self._handle(Event.WOKE)

    @property
    def using(self) -> str:
        """Return how messages name the certificate by which this device speaks, if it is known."""
        with self._lock:
            if self._present is None:
                try:
                    self._present = certificate.read(self.files.who.certificate)
                except StorageError:
                    return ""
            return self._present.short

    def pair(self) -> Pair:
        """Return by what to connect now."""
        return self.files.pair()

    def asked(self, renew: Renew) -> None:
        """Hear that the console wants a certificate replaced: this one, or one of before."""
        self._replace = renew.certificate

    def answered(self, data: bytes) -> None:
        """Hear the certificate for the newer key: it is looked at soon."""
        self._answer = data

    def welcomed(self, pair: Pair) -> None:
        """Hear that a connection by ``pair`` is open."""
        if pair.newer:
            log.info("the newer certificate is taken; it takes the place of the earlier one")
            self._handle(Event.WELCOMED)

    def unwelcome(self, pair: Pair) -> None:
        """Hear that a connection by ``pair`` was refused."""
        if pair.newer:
            log.warning("the newer certificate is refused; going on with the present one")
            self._say_s = self._clock() + AGAIN_MOST_S
            self._handle(Event.UNWELCOME)

    def request(self) -> bytes | None:
        """Return what to send up now, None when there is nothing to ask."""
        with self._lock:
            if not self._csr or self.files.state is not State.ASKING or not self._due_to_say:
                return None
            self._say_s = self._clock() + self._again.next()
            who = self._enrolment
        asked = RenewRequest(
            device=who.device,
            incarnation=who.incarnation,
            certificate=self.using,
            csr=self._csr,
        )
        return asked.to_json()

    def tick(self) -> None:
        """Take note that a second or so has passed; what takes longer is done by a thread."""
        with self._lock:
            state = self.files.state
            if self._working:
                return
            if state is State.STEADY and self._due_to_say and self._is_due():
                self._work(lambda: self._handle(Event.DUE))
            elif state is State.ASKING and self._answer is not None:
                self._work(self._check)
            elif state is State.PROVEN or (state is State.ASKING and not self._csr):
                if self._due_to_say:  # else the disk refused, a moment ago
                    self._work(lambda: self._handle(Event.WOKE))
            elif state is State.ASKING and self._due_to_say:
                self.wake()

    @property
    def _due_to_say(self) -> bool:
        return self._clock() >= self._say_s

    def _is_due(self) -> bool:
        using = self.using
        if self._present is None:
            return False
        return using == self._replace or self._present.old(self._now())

    def _handle(self, event: Event) -> None:
        with self._lock:
            found = TABLE.get((self.files.state, event))
            deed = found[1] if found else None  # none: another thread was first
            if deed is not Do.MAKE:
                self._do(deed)
                return
        self._make()

    def _do(self, deed: Do | None) -> None:
        try:
            match deed:
                case Do.KEEP:
                    self.files.keep(self._chain)
                case Do.PLACE:
                    self.files.promise()
                    self.files.place()
                    self._present = None
                case Do.DROP:
                    self.files.drop()
                case Do.MAKE | None:
                    return
        except StorageError as e:
            log.warning("the newer key waits for the disk: %s [%s]", e, e.code)
            self._say_s = self._clock() + self._again.next()
        else:
            self._csr, self._answer, self._chain = "", None, ""

    def _make(self) -> None:
        """Make the newer key, unless it is there, and its request."""
        with durable.storage_errors(self.files.folder):
            durable.make_folder(self.files.folder, mode=0o700)
        self._csr = self._child("request", self.files.folder, self._enrolment.device)
        self._again.reset()
        self.wake()

    def _check(self) -> None:
        """Look at the answer; only what a child found to be this device's is kept."""
        data, self._answer = self._answer or b"", None
        now_ms = int(self._now().timestamp() * 1000)
        self._chain = self._child("check", self._tree.root, self.files.folder, now_ms, data=data)
        self._handle(Event.ANSWERED)
        self.anew()

    def _work(self, deed: Callable[[], None]) -> None:
        self._working = True

        def run() -> None:
            try:
                deed()
            except LittoralError as e:
                log.warning("no newer key: %s [%s]", e, e.code)
                self._say_s = self._clock() + self._again.next()
            finally:
                self._working = False

        threading.Thread(target=run, name="renewal", daemon=True).start()

    @staticmethod
    def _child(*words: object, data: bytes = b"") -> str:
        said = map(str, words)
        end = child.python("littoral_agent.renewing", *said, within_s=_CHILD_S, data=data)
        if end.status == REFUSED:
            raise TrustError(end.last or "it said nothing")
        return end.answer.decode()


def heard(renewer: Renewer | None, path: str, body: bytes) -> None:
    """Take a message about the newer key that came from the console."""
    if renewer is None:
        return
    try:
        if path == "down/renew":
            renewer.asked(Renew.from_json(body))
        elif path == "down/renewed":
            renewer.answered(body)
    except MalformedError as e:
        log.warning("%s is ignored: %s", path, e)
