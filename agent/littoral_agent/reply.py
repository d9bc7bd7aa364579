"""What a server answered: granted, refused and why, or not held. It knows no connection."""

import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from littoral import records
from littoral.errors import DeniedError, ForgottenError, LittoralError, UnreachableError
from littoral.wire.control import Failure
from littoral_agent.denial import denial, is_final

MAX_FAILURE: Final = 64 * 1024
_GONE: Final = {
    http.HTTPStatus.FORBIDDEN,
    http.HTTPStatus.NOT_FOUND,
    http.HTTPStatus.GONE,
}
# What services say where the right that is part of an address has ended, or was none.
_SHUT: Final = {
    http.HTTPStatus.BAD_REQUEST,
    http.HTTPStatus.UNAUTHORIZED,
    http.HTTPStatus.FORBIDDEN,
}
_MOVED: Final = {
    http.HTTPStatus.MOVED_PERMANENTLY,
    http.HTTPStatus.FOUND,
    http.HTTPStatus.SEE_OTHER,
    http.HTTPStatus.TEMPORARY_REDIRECT,
    http.HTTPStatus.PERMANENT_REDIRECT,
}
_PAGES: Final = {"text/html", "application/xhtml+xml"}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # any case will do

    def granted(self, what: str) -> bytes:
        """Return the body of a reply that grants what was asked.

        Raises:
            RevokedError, FrozenError, SupersededError: It hears this device no more.
            DeniedError: The server refuses; says why, as far as it did.

        """
        if self.status < http.HTTPStatus.MULTIPLE_CHOICES:
            return self.body
        failure = self._failure
        if failure is not None and is_final(error := denial(failure.code, failure.error)):
            raise error
        raise DeniedError(f"{what}: {self.reason or f'status {self.status}'}")

    @property
    def reason(self) -> str:
        """Return what the server said in words, if it spoke as consoles do."""
        failure = self._failure
        if failure is None:
            return ""
        told_anyway = failure.code == DeniedError.code
        return failure.error if told_anyway else f"{failure.error} [{failure.code}]"

    @property
    def _failure(self) -> Failure | None:
        try:
            return records.from_json(Failure, self.body, limit=MAX_FAILURE)
        except records.RecordError:
            return None


class MovedError(UnreachableError):
    """What is asked for is elsewhere. Who follows nobody takes it for what stands before it."""

    def __init__(self, words: str, *, location: str) -> None:
        super().__init__(words)
        self.location = location  # never shown: it may hold a secret


def forgotten(name: str, reply: Reply, *, lent: bool = False) -> LittoralError:
    """Return what a reply means that does not give the file ``name``.

    What is ``lent`` somebody else sent us to, who gives another address when it is asked again.
    """
    if lent and reply.status in _SHUT:
        return UnreachableError(
            f"{name}: nobody lets us in where we were sent (status {reply.status}); has the right "
            "ended that the address bears, or that of who signed it?"
        )
    if reply.status in _GONE:
        return ForgottenError(
            f"{name}: the repository does not hold what is named (status {reply.status})"
        )
    why = f"{name}: {reply.reason or f'status {reply.status}'}"
    if reply.status >= http.HTTPStatus.BAD_REQUEST:
        return DeniedError(why)
    if reply.status in _MOVED and (location := reply.headers.get("Location")):
        return MovedError(f"{why}; this sends us elsewhere", location=location)
    return UnreachableError(why)  # no repository: what stands before it


def check_file(name: str, headers: Mapping[str, str]) -> None:
    """See by its headers that what was granted is the file ``name`` itself.

    Raises:
        UnreachableError: It is a page: of a captive portal, of who says sorry so.
        DeniedError: It is packed: nothing is unpacked before its digest is known.

    """
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _PAGES:
        raise UnreachableError(
            f"{name}: a page came in its place; a captive portal, or a server that says so that "
            "it has no such file"
        )
    packed = headers.get("Content-Encoding", "").strip().lower()
    if packed not in {"", "identity"}:
        raise DeniedError(
            f"{name}: it comes packed ({packed[:20]}), though it was asked for as it is; let the "
            "server compress nothing of the repository"
        )
