"""The channel without a broker: the console's documents by long poll, messages by POST.

The device signs a nonce with its key and gets a bearer for ten minutes; the connection itself
identifies nobody. One thread hears, one sends.
"""

import base64
import contextlib
import http
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from littoral import records
from littoral.backoff import Backoff, jitter
from littoral.errors import (
    ChildError,
    DeniedError,
    EndlessError,
    LittoralError,
    SlowError,
    StorageError,
    UnreachableError,
)
from littoral.trust.beliefs import FARTHEST
from littoral.wire.enrolment import Session, SessionRequest
from littoral.wire.identity import RENEW_HEADER, Renew
from littoral.wire.messages import Post, Report
from littoral_agent import child
from littoral_agent.channel import Ends, Outbox
from littoral_agent.denial import is_final, pauses
from littoral_agent.identity import Identity
from littoral_agent.origin import READ_S, Origin
from littoral_agent.outline import outline
from littoral_agent.renewal import Pair
from littoral_agent.reply import Reply

WAIT_S: Final = 25.0  # of a long poll
MOST_BYTES: Final = 64 * 1024
MOST_POST: Final = 1024 * 1024  # of messages in one request, before base64
EARLY: Final = 0.75  # of a bearer's life, after which another one is asked for
PROOF_S: Final = 30.0

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bearer:
    word: str
    until_s: float


class Https:
    """Speaks with the console at ``origin``."""

    name = "https"

    def __init__(self, ends: Ends, identity: Identity, *, origin: Origin) -> None:
        self._ends, self._identity, self._origin = ends, identity, origin
        self._outbox = Outbox(ends)
        self._lock = threading.Lock()
        self._bearer: Bearer | None = None
        self._waiting = threading.Event()
        self._stopped = threading.Event()
        self._up = self._greeting = False
        self._denials = pauses(ends.denied_retry_s)
        self._denied: DeniedError | None = None
        self._denied_until_s = 0.0
        self._trouble: LittoralError | None = None
        self._heard = 0  # version of the last document that came
        self._threads = [
            threading.Thread(target=self._hearing, name="https-hear", daemon=True),
            threading.Thread(target=self._sending, name="https-send", daemon=True),
        ]

    @property
    def up(self) -> bool:
        return self._up

    @property
    def trouble(self) -> LittoralError | None:
        return None if self._up else self._trouble

    @property
    def denial(self) -> DeniedError | None:
        return self._denied

    def anew(self) -> None:
        with self._lock:
            self._bearer = None
        self._greeting = True
        self._waiting.set()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the last message is sent; a poll that waits is left to end by itself."""
        self._stopped.set()
        self._waiting.set()
        if self._threads[1].ident is not None:
            self._threads[1].join(READ_S)

    def wake(self) -> None:
        self._waiting.set()

    def tick(self) -> None:
        """Nothing depends on it here."""

    def _hearing(self) -> None:
        self._again_and_again(self._hear, Backoff(self._ends.retry_first_s, self._most_s))

    def _sending(self) -> None:
        backoff = Backoff(self._ends.retry_first_s, self._most_s)
        self._again_and_again(self._send, backoff, down=True)

    @property
    def _most_s(self) -> float:
        return min(self._ends.retry_most_s, self._ends.poll_every_s)

    def _again_and_again(
        self, deed: Callable[[], None], backoff: Backoff, *, down: bool = False
    ) -> None:
        while not self._stopped.is_set():
            try:
                deed()
            except DeniedError as e:
                self._note(e)
                self._stopped.wait(max(1.0, self._denied_until_s - time.monotonic()))
            except LittoralError as e:
                self._trouble = e
                self._up = self._up and not down
                pause_s = backoff.next()
                log.warning("%s [%s]; again in %.1f s", e, e.code, pause_s)
                self._stopped.wait(pause_s)
            else:
                backoff.reset()
        if down:
            self._up = False

    def _note(self, error: DeniedError) -> None:
        """Remember that nobody here is heard: it is asked again, ever more rarely."""
        with self._lock:
            self._bearer = None
            if time.monotonic() < self._denied_until_s:
                return  # the other thread was first
            pause_s = self._denials.next()
            self._denied, self._denied_until_s = error, time.monotonic() + pause_s
            self._up = False
        log.warning("%s [%s]; asked again in %.0f s", error, error.code, pause_s)

    def _hear(self) -> None:
        """Ask for a document newer than the one that is believed, and wait for it."""
        held = self._ends.version()
        after = self._heard if held >= FARTHEST else max(self._heard, held)
        path = f"device/desired?after={after}&wait_s={WAIT_S:.0f}"
        try:
            reply = self._with_bearer(
                lambda headers: self._origin.get(
                    path, limit=MOST_BYTES, headers=headers, read_s=WAIT_S + READ_S
                )
            )
        except (EndlessError, SlowError) as e:
            self._ends.unheard(e)
            raise
        self._hear_of_renewal(reply)
        if reply.status == http.HTTPStatus.NO_CONTENT:
            return
        document = reply.granted("desired")
        if self._stopped.is_set():
            return
        self._ends.heard(document)
        # Whether it is believed is known later, if ever: until then it must not come again.
        with contextlib.suppress(records.RecordError):
            self._heard = outline(document).version
        self._stopped.wait(jitter(1.0))

    def _hear_of_renewal(self, reply: Reply) -> None:
        renewer, wanted = self._ends.renewer, reply.headers.get(RENEW_HEADER)
        if renewer is not None and wanted is not None:
            with contextlib.suppress(ValueError):
                renewer.asked(Renew(certificate=wanted))

    def _renew(self) -> None:
        """Ask for the certificate of a newer key, if there is one."""
        renewer = self._ends.renewer
        request = renewer.request() if renewer is not None else None
        if renewer is None or request is None:
            return
        reply = self._with_bearer(
            lambda headers: self._origin.post(
                "device/renew", request, limit=MOST_BYTES, headers=headers
            )
        )
        try:
            renewer.answered(reply.granted("renewal"))
        except DeniedError as e:
            if is_final(e):
                raise
            log.warning("no newer key: %s [%s]", e, e.code)

    def _send(self) -> None:
        """Send what is to be sent, then wait until there is more."""
        self._waiting.clear()
        self._renew()
        if self._greeting:  # by another pair than before: somebody must hear it
            self._greeting = False
            self._outbox.rewind()
        status = self._outbox.status()
        messages = self._outbox.take(most_bytes=MOST_POST)
        if status is None and not messages:
            self._waiting.wait(self._outbox.due_in_s())
            return
        post = Post(
            status=status or self._ends.status(),
            reports=tuple(Report.from_json(m.body) for m in messages if m.kind == "report"),
            telemetry=tuple(
                base64.b64encode(m.body).decode() for m in messages if m.kind == "telemetry"
            ),
        )
        try:
            reply = self._with_bearer(
                lambda headers: self._origin.post(
                    "device/messages", post.to_json(), limit=MOST_BYTES, headers=headers
                )
            )
            acks = reply.granted("messages")
        except LittoralError:
            self._outbox.rewind()
            raise
        self._up = True
        self._outbox.acknowledged(acks)

    def _with_bearer(self, ask: Callable[[dict[str, str]], Reply]) -> Reply:
        """Ask with a bearer, and once more with another one if that one is not taken."""
        reply = ask(self._headers())
        if reply.status == http.HTTPStatus.UNAUTHORIZED:
            reply = ask(self._headers(anew=True))
        return reply

    def _headers(self, *, anew: bool = False) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._session(anew=anew).word}"}

    def _session(self, *, anew: bool = False) -> Bearer:
        with self._lock:
            if self._denied is not None and time.monotonic() < self._denied_until_s:
                raise self._denied
            if self._bearer is None or anew or time.monotonic() > self._bearer.until_s:
                self._bearer = self._new_session()
                self._denied = None
                self._denials.reset()
            return self._bearer

    def _new_session(self) -> Bearer:
        renewer = self._ends.renewer
        pair = renewer.pair() if renewer else Pair(self._identity.certificate, self._identity.key)
        reply = self._origin.get("device/nonce", limit=MOST_BYTES)
        nonce = _read(_Nonce, reply.granted("nonce")).nonce
        try:
            certificate = pair.certificate.read_text()
        except (OSError, ValueError) as e:
            raise StorageError(f"{pair.certificate}: {e}") from e
        request = SessionRequest(
            nonce=nonce,
            certificate=certificate,
            signature=_prove(pair.key, nonce),
            instance=self._ends.status().instance,
        )
        asked = self._origin.post("device/session", records.to_json(request), limit=MOST_BYTES)
        try:
            session = _read(Session, asked.granted("session"))
        except DeniedError:
            if renewer is None or not pair.newer:
                raise
            renewer.unwelcome(pair)
            return self._new_session()
        if renewer is not None:
            renewer.welcomed(pair)
        if session.broker is not None and self._ends.moved is not None:
            self._ends.moved(session.broker)
        return Bearer(session.bearer, time.monotonic() + session.expires_s * EARLY)


def _prove(key: Path, nonce: str) -> str:
    end = child.python("littoral_agent.prove", str(key), within_s=PROOF_S, data=nonce.encode())
    try:
        return end.answer.decode()
    except ChildError as e:
        raise ChildError(f"{key}: cannot sign with it: {e}") from e


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nonce:
    nonce: str


def _read(kind: type[T], data: bytes) -> T:
    try:
        return records.from_json(kind, data, limit=MOST_BYTES)
    except records.RecordError as e:
        raise UnreachableError(f"the console answers something else: {e}") from e
