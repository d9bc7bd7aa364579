"""What a broker makes of this device, and the console through it: heard, or heard no more.

A broker knows no reasons: it refuses a connection, a subscription or a publish, or TLS ends. The
console may have said why, a moment before. For the thread of one channel.
"""

import logging
from typing import TYPE_CHECKING, Final

from littoral.errors import DeniedError, LittoralError
from littoral.wire.identity import Denied
from littoral_agent.denial import by_broker, denial, pauses

if TYPE_CHECKING:
    from paho.mqtt.reasoncodes import ReasonCode

REVOKED: Final = "ALERT_CERTIFICATE_REVOKED"  # as OpenSSL says it
_NOT_AUTHORIZED: Final = 0x87
_LOST: Final = "Unspecified error"  # as paho says that nobody said anything

log = logging.getLogger(__name__)


class Verdict:
    """Of the broker at ``where``; ``retry_s`` is the first pause after a denial."""

    def __init__(self, where: str, *, incarnation: int, retry_s: float) -> None:
        self._where, self._incarnation = where, incarnation
        self._pauses = pauses(retry_s)
        self._greeting = -1
        self.denied: DeniedError | None = None  # over the connections so far
        self.told: DeniedError | None = None  # over the one that is open
        self.refusal: str | None = None  # in the broker's words

    def begin(self) -> None:
        """Forget what was said over the connection before."""
        self.told = self.refusal = None

    def greeted(self, mid: int) -> None:
        """Remember which publish it is whose acknowledgement says that we are heard."""
        self._greeting = mid

    def pause_after(self, error: DeniedError) -> float:
        """Return how long to wait before asking again: ever longer."""
        self.denied = error
        return self._pauses.next()

    def connected(self, reason: "ReasonCode") -> bool:
        """Take the answer to a connection; return whether it is open."""
        if reason.is_failure:
            self.refusal = str(reason)
            self._judge(reason)
        return not reason.is_failure

    def subscribed(self, reasons: list["ReasonCode"]) -> bool:
        """Take the answer to a subscription; return whether it stands."""
        if any(reason.is_failure for reason in reasons):
            self.refusal = "it may not hear its own topics"
            self.told = self.told or by_broker(self._where)
            return False
        return True

    def published(self, mid: int, reason: "ReasonCode") -> None:
        """Take the answer to a publish."""
        self._judge(reason)
        if mid == self._greeting and not reason.is_failure:
            self.denied = None
            self._pauses.reset()

    def disconnected(self, reason: "ReasonCode") -> None:
        if reason.is_failure and self.refusal is None and str(reason) != _LOST:
            self.refusal = str(reason)

    def logged(self, words: str) -> None:
        """Find out why TLS was ended, which paho tells nobody else."""
        if REVOKED in words:
            self.told = self.told or by_broker(self._where)

    def heard(self, body: bytes) -> None:
        """Take the console's last word, if it is for this incarnation."""
        try:
            said = Denied.from_json(body)
        except LittoralError as e:
            log.warning("a message is ignored: %s", e)
            return
        if said.incarnation == self._incarnation:
            self.told = denial(said.code, said.error)

    def _judge(self, reason: "ReasonCode") -> None:
        if reason.value == _NOT_AUTHORIZED:
            self.told = self.told or by_broker(self._where)
