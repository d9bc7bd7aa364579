"""Makes a board a device of a fleet: a key made here, a certificate in return.

The token says whom to believe: by it the console's CA, fetched from anybody, and the root of
all trust are checked before a word is said. The secret leaves only over a connection that
this CA secures. The new identity takes the place of an earlier one when it is whole; until
then all of it can be done again, by the same key and with the same answer. A root that is
held is never replaced.
"""

import http
import re
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from littoral import __version__, durable, records
from littoral.errors import (
    DeniedError,
    MalformedError,
    MisuseError,
    StorageError,
    UnreachableError,
    WaitingError,
    WrongBoardError,
)
from littoral.tree import Tree
from littoral.trust.clock import TrustedClock
from littoral.wire.enrolment import Enrolled, EnrollRequest, Token, Waiting
from littoral_agent import hardware, identity, introduction
from littoral_agent.identity import Enrolment, Identity
from littoral_agent.origin import Origin
from littoral_agent.routes import Proxy

_MAX_REPLY: Final = 64 * 1024
_RETRY_S: Final = (0.2, 30.0)  # whatever a console says


class Applicant:
    """One board that asks one console by one token, as often as it takes."""

    def __init__(
        self,
        url: str,
        word: str,
        tree: Tree,
        *,
        name: str | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        """Read what was given.

        Raises:
            MisuseError: ``url`` is none.
            MalformedError: The token is cut short.

        """
        self._token = Token.decode(word)
        if not re.fullmatch(r"https://[^/\s]+/?", url):
            raise MisuseError(
                f"expected the console's https://HOST:PORT for devices, found {url!r}"
            )
        self._url, self._tree, self._name = url.rstrip("/"), tree, name
        self._proxy = proxy
        self._who = identity.of(tree)
        self._origin: Origin | None = None
        self._ca = ""
        self.fingerprint: str | None = None  # of the key that asks, once there is one

    def close(self) -> None:
        if self._origin is not None:
            self._origin.close()

    def ask(self, *, anew: bool = True) -> Enrolment | Waiting:
        """Ask once; return who this device is now, or that an operator decides first.

        Unless ``anew``, a board that is enrolled stays who it is.

        Raises:
            MisuseError: The name cannot be a device's.
            UnreachableError: The console does not answer.
            TrustError: It is another console than the token's, or its fleet is another one.
            DeniedError: The token is unknown, used or over, or an operator refused.
            StorageError: The identity cannot be kept.

        """
        with durable.storage_errors(self._tree.root):
            self._tree.make()
        with self._who.alone():
            self._who.settle()
            held = None if anew else _held(self._who)
            return held or self._ask()

    def _ask(self) -> Enrolment | Waiting:
        tree, token = self._tree, self._token
        if self._origin is None:
            self._ca = introduction.console_ca(self._url, token, proxy=self._proxy)
            self._origin = Origin(self._url, ca=self._ca, proxy=self._proxy)
        anchors = introduction.trust(tree, self._origin, token)
        request = self._request(hardware.serial())
        try:
            answer = _send(self._origin, request)
        except DeniedError:
            if held := self._admitted_before(self._origin, request):
                return held
            raise
        if isinstance(answer, Waiting):
            return answer
        new = self._who.enrolling
        introduction.check(new, answer, anchors, now=TrustedClock(tree.clock).now)
        enrolment = Enrolment(
            device=answer.device,
            fleet=answer.fleet,
            incarnation=answer.incarnation,
            url=self._url,
            broker=answer.broker,
            trust="token",
            serial=request.serial,
        )
        durable.replace(new.certificate, answer.certificate.encode(), mode=0o600)
        durable.replace(new.console_ca, self._ca.encode(), mode=0o600)
        new.write(enrolment)
        self._who.adopt()
        return enrolment

    def _request(self, serial: str) -> EnrollRequest:
        """Return what is asked, by a key that stays the same until it is this device's."""
        from littoral.trust.certificates import requested
        from littoral.trust.identity import fingerprint, key_digest
        from littoral.trust.keys import new_device_key

        self._drop_another_boards(serial)
        name = self._name or _own_name()
        try:
            csr = new_device_key(self._who.enrolling.folder, name)
        except ValueError as e:
            raise MisuseError(f"{e}; name it with --name") from e
        self.fingerprint = fingerprint(key_digest(requested(csr)))
        return EnrollRequest(
            secret=self._token.secret,
            device=name,
            serial=serial,
            csr=csr,
            hardware=hardware.detect(),
            software=__version__,
            named=self._name is not None,
        )

    def _admitted_before(self, origin: Origin, request: EnrollRequest) -> Enrolment | None:
        """Return who this device is by this very token: a kill came before anybody was told."""
        from littoral.trust.keys import new_device_key

        held = _held(self._who)
        if held is None or held.url != self._url or not self._who.key.exists():
            return None
        csr = new_device_key(self._who.folder, held.device)
        try:
            answer = _send(origin, replace(request, csr=csr))
        except DeniedError:
            return None
        same = isinstance(answer, Enrolled) and answer.incarnation == held.incarnation
        return held if same else None

    def _drop_another_boards(self, serial: str) -> None:
        """Forget a key that another board made: the card was copied before it was enrolled."""
        folder = self._who.enrolling.folder
        board = folder / "board"
        with durable.storage_errors(folder):
            if folder.is_dir() and (not board.exists() or board.read_bytes() != serial.encode()):
                shutil.rmtree(folder)
            durable.make_folder(folder, mode=0o700)  # else the key that used the token may be lost
        if not board.exists():
            durable.replace(board, serial.encode())


def enroll(
    url: str,
    word: str,
    tree: Tree,
    *,
    name: str | None = None,
    proxy: Proxy | None = None,
    wait_s: float | None = None,
    told: Callable[[Waiting, str], None] = lambda _waiting, _fingerprint: None,
) -> Enrolment:
    """Enrol the device in ``tree`` with the console at ``url`` by the token ``word``.

    While an operator has not decided, ``told`` is called with the claim and the fingerprint of
    the key, and it is asked again, for ``wait_s`` seconds or for ever (None).

    Raises:
        WaitingError: Nobody decided in that time; the same call goes on later.
        MalformedError: The token is cut short.
        LittoralError: As Applicant.ask; the console may go away while an operator decides.

    """
    end_s = None if wait_s is None else time.monotonic() + wait_s
    applicant = Applicant(url, word, tree, name=name, proxy=proxy)
    waiting: Waiting | None = None
    try:
        while True:
            try:
                answer = applicant.ask()
            except UnreachableError:
                if waiting is None:
                    raise
            else:
                if isinstance(answer, Enrolment):
                    return answer
                waiting = answer
            fingerprint = applicant.fingerprint or ""
            told(waiting, fingerprint)
            pause_s = max(_RETRY_S[0], min(waiting.retry_s, _RETRY_S[1]))
            if end_s is not None:
                pause_s = min(pause_s, end_s - time.monotonic())
                if pause_s <= 0:
                    raise undecided(waiting, fingerprint)
            time.sleep(pause_s)
    finally:
        applicant.close()


def _held(who: Identity) -> Enrolment | None:
    """Return who this board is; that of another board, or one that cannot be read, is nobody."""
    try:
        found = who.read()
        if found is not None:
            found.check_board(hardware.serial())
    except (StorageError, WrongBoardError):
        return None
    return found


def undecided(waiting: Waiting, fingerprint: str) -> WaitingError:
    """Return the error that says whom an operator has not decided on."""
    return WaitingError(
        f"{waiting.device!r} waits for an operator: claim {waiting.claim}, key {fingerprint}; "
        "the same command goes on"
    )


def _send(origin: Origin, request: EnrollRequest) -> Enrolled | Waiting:
    reply = origin.post("enroll", records.to_json(request), limit=_MAX_REPLY)
    if reply.status >= http.HTTPStatus.MULTIPLE_CHOICES:
        raise DeniedError(
            f"the console does not admit this device: {reply.reason or f'status {reply.status}'}"
        )
    try:
        if reply.status == http.HTTPStatus.ACCEPTED:
            return records.from_json(Waiting, reply.body, limit=_MAX_REPLY)
        return records.from_json(Enrolled, reply.body, limit=_MAX_REPLY)
    except records.RecordError as e:
        raise MalformedError(f"{origin.url}: enrolled: {e}") from e


def _own_name() -> str:
    """Return the host's name as a device may be called."""
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")
    return name[:64] or "device"
