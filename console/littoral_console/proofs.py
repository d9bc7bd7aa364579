"""Which device is on the other end of HTTPS: it signs a nonce with its key, gets a bearer.

In memory alone: after a restart a device proves itself again. To be used from one thread.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from littoral.errors import DeniedError, SignatureError
from littoral.trust.identity import Identity
from littoral.trust.identity import digest as certificate_digest
from littoral.trust.keys import check_session
from littoral.wire.enrolment import Session, SessionRequest
from littoral.wire.identity import short
from littoral_console.accounts import digest

T = TypeVar("T")

NONCE_S: Final = 60.0
BEARER_S: Final = 600.0
_MOST: Final = 100_000
_MOST_OF_ONE: Final = 8  # bearers of a device


@dataclass(frozen=True, slots=True)
class Proven:
    device: str
    incarnation: int
    until: float
    instance: str  # of the agent's process
    certificate: str  # that was shown, as messages name it
    number: int  # its serial number


@dataclass(slots=True)
class Proofs:
    clock: Callable[[], float] = time.monotonic
    _nonces: dict[str, float] = field(default_factory=dict)  # until when, oldest first
    _bearers: dict[str, Proven] = field(default_factory=dict)  # by digest, oldest first
    _of: dict[str, deque[str]] = field(default_factory=dict)  # digests by device, oldest first

    def nonce(self) -> str:
        """Return what a device shall sign within a minute."""
        self._forget()
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = self.clock() + NONCE_S
        return nonce

    def open(self, request: SessionRequest, *, identity: Identity) -> Session:
        """Return a bearer for ``identity``, whose certificate led to the device CA.

        Raises:
            SignatureError: The nonce was not given out here, or not signed by that key.

        """
        self._forget()
        if self._nonces.pop(request.nonce, None) is None:
            raise SignatureError("session: the nonce was not given out here, or is used or over")
        check_session(request.nonce, request.signature, certificate=identity.certificate)
        bearer = secrets.token_urlsafe(32)
        until = self.clock() + BEARER_S
        word = digest(bearer)
        self._bearers[word] = Proven(
            identity.device,
            identity.incarnation,
            until,
            request.instance,
            short(certificate_digest(identity.certificate)),
            identity.certificate.serial_number,
        )
        mine = self._of.setdefault(identity.device, deque())
        mine.append(word)
        if len(mine) > _MOST_OF_ONE:
            self._bearers.pop(mine.popleft(), None)
        return Session(bearer=bearer, expires_s=BEARER_S)

    def of(self, bearer: str) -> Proven:
        """Return whose bearer this is. Raises DeniedError when it is nobody's, or over."""
        self._forget()
        found = self._bearers.get(digest(bearer))
        if found is None:
            raise DeniedError("the session is over; open another one")
        return found

    def _forget(self) -> None:
        now = self.clock()
        while self._nonces and (_first(self._nonces) <= now or len(self._nonces) > _MOST):
            del self._nonces[next(iter(self._nonces))]
        while self._bearers and (_first(self._bearers).until <= now or len(self._bearers) > _MOST):
            del self._bearers[next(iter(self._bearers))]


def _first(values: Mapping[str, T]) -> T:
    return next(iter(values.values()))
