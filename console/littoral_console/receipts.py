"""Reads a receipt: what a device left on a medium, and somebody carried here. Checks only.

Nobody vouches for the medium. A receipt is believed for its signature, by a key of this fleet's
device CA, and only in what it says of the device that signed it; whether that one is still heard is
asked of the tables, as over every other way.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from littoral.errors import WrongDeviceError
from littoral.trust.identity import Identity, check_device
from littoral.trust.keys import check_receipt
from littoral.wire.receipt import Receipt, SignedReceipt
from littoral_console.ingest import CARRIED, Heard, Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A receipt, and who signed it."""

    identity: Identity
    receipt: Receipt

    @property
    def heard(self) -> list[Heard]:
        said: tuple[Said, ...] = (self.receipt.status, *self.receipt.reports)
        return [Heard(device=self.identity.device, channel=CARRIED, said=one) for one in said]


def read(data: bytes, *, device: str, fleet: str, root: x509.Certificate, now: datetime) -> Brought:
    """Return what ``data`` says, which lay on the medium as the receipt of ``device``.

    Raises:
        MalformedError: It is no receipt, or not whole.
        SignatureError: No device of this console's signed it, or something else.
        ExpiredError: The certificate's time is over.
        WrongDeviceError: Of another fleet, or another device, or it speaks for another.

    """
    signed = SignedReceipt.from_json(data)
    identity = check_device(signed.certificate, root=root, now=now)
    payload = signed.signed
    check_receipt(payload, signed.signature, certificate=identity.certificate)
    if identity.fleet != fleet:
        raise WrongDeviceError(named=f"the fleet {identity.fleet!r}", here=fleet)
    receipt = Receipt.from_json(payload)
    me = (identity.device, identity.incarnation)
    speakers = {(one.key.device, one.key.incarnation) for one in receipt.reports}
    speakers.add((receipt.status.device, receipt.status.incarnation))
    for name, incarnation in sorted(speakers - {me}):
        raise WrongDeviceError(named=f"{name}, incarnation {incarnation}", here=_who(identity))
    if identity.device != device:
        raise WrongDeviceError(named=_who(identity), here=device)
    return Brought(identity=identity, receipt=receipt)


def _who(identity: Identity) -> str:
    return f"{identity.device}, incarnation {identity.incarnation}"
