"""What a device that reaches no console leaves on a medium, to be carried there by hand.

``receipts/<device>.json`` is a SignedReceipt; ``littoral fleet import`` brings it to the console.
The signature is over the exact bytes of the payload, by the key of the device's certificate;
the payload is a Receipt. Who brings it twice changes nothing: the reports in it are those of the
spool, under the same keys, and are taken once; its status counts only where no later one was
heard, which the number in it says. Nothing leaves the spool for it: the console acknowledges to
the device itself, should it ever reach it.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from littoral.errors import MalformedError
from littoral.wire.message import Message
from littoral.wire.messages import Report, Status

FOLDER: Final = "receipts"  # on a medium
MOST_PAYLOAD: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Message):
    """What a device has to tell: how it is, and what the console has not acknowledged."""

    MOST_BYTES = MOST_PAYLOAD

    status: Status  # who says it, when, and as its how many-th receipt
    reports: tuple[Report, ...] = ()  # the newest that fit, oldest first
    left: int = 0  # reports that are older, and did not


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReceipt(Message):
    r"""A Receipt, and who vouches for it.

    ``signature`` (base64, ECDSA P-256 SHA-256 by the certificate's key) is over
    ``b"littoral-receipt\0" + payload``.
    """

    MOST_BYTES = 2 * MOST_PAYLOAD

    payload: str  # base64 of the Receipt's bytes
    certificate: str  # PEM chain
    signature: str

    @property
    def signed(self) -> bytes:
        """Return the bytes that are signed. Raises MalformedError."""
        try:
            return base64.b64decode(self.payload, validate=True)
        except (binascii.Error, ValueError) as e:
            raise MalformedError(f"receipt: expected base64: {e}") from e
