"""What makes a board a device, and a device believed: over HTTPS, before and beside the broker."""

import base64
from dataclasses import dataclass

from littoral import records
from littoral.errors import MalformedError
from littoral.wire.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Message):
    """What an operator hands to a device: a secret, and whom to believe."""

    secret: str
    fleet: str
    root_sha256: str  # of root.json as the console holds it
    console_ca_sha256: str  # of the console CA's certificate, DER

    def encode(self) -> str:
        """Return the token as one word to paste."""
        return "lit1_" + base64.urlsafe_b64encode(records.to_json(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, word: str) -> "Token":
        """Read what ``encode`` wrote. Raises MalformedError."""
        kind, mark, body = word.strip().partition("_")
        if (kind, mark) != ("lit1", "_"):
            raise MalformedError(
                "expected a token, lit1_…, as 'littoral fleet tokens new' prints it; paste it whole"
            )
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            return cls.from_json(data)
        except (ValueError, MalformedError) as e:
            raise MalformedError("the token is cut short or mistyped; paste it whole") from e


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollRequest:
    """``POST /enroll``: a key made on the device asks for a name.

    The same request may be sent again: the answer to a key is the same until it has another token.
    """

    secret: str
    device: str  # the name it asks for
    serial: str  # of the board, as far as it can tell
    csr: str  # PEM; the console overrides its subject
    hardware: tuple[str, ...]
    software: str
    named: bool = True  # False: a suggestion; the token's name goes before it, or the board's


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The reply 202: an operator decides first. The same request asks again."""

    claim: int  # its number in the console
    device: str  # the name that was asked for
    retry_s: float  # after which it is worth asking again


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The reply 200: who the device is now, and where to speak."""

    device: str
    fleet: str
    incarnation: int
    certificate: str  # PEM: the device's, then the intermediate's
    device_ca: str  # PEM of the device CA's root, whose digest the root metadata anchors
    broker: str | None  # host:port, mTLS; None: HTTPS alone


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTime:
    r"""``GET /time?nonce=…``: the console's time, for this nonce alone.

    ``signature`` (hex, Ed25519 by the time key that root anchors) is over
    ``b"littoral-time\0" + nonce + b"\0" + str(utc_ms)``, nonce in hex as it was asked.
    """

    nonce: str
    utc_ms: int
    keyid: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    r"""``POST /device/session``: proof of the device's key, for ten minutes of a bearer.

    ``signature`` (base64, ECDSA P-256 SHA-256 by the certificate's key) is over
    ``b"littoral-session\0" + nonce``, where the nonce came from ``GET /device/nonce``.
    """

    nonce: str
    certificate: str  # PEM chain
    signature: str
    instance: str = ""  # of the agent's process, as its status says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    bearer: str
    expires_s: float
    broker: str | None = None  # host:port, where there is one now; it may have come or moved
