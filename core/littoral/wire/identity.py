"""What is said about who a device is, once it is one: a newer key, and the end.

| topic below ``littoral/devices/<id>/`` | over HTTPS | body |
|---|---|---|
| ``down/renew``: the console asks for a newer key | header of ``GET /device/desired`` | Renew |
| ``up/renew``: a newer key asks for its certificate | ``POST /device/renew`` | RenewRequest |
| ``down/renewed``: the certificate | its reply | Renewed |
| ``down/denied``: who speaks here is heard no more | status 403 of any request | Denied |

To ask for a newer key can do no harm: the device makes it itself, and asks for its certificate over
the connection that its present one secures. A request names the certificate that shall be
replaced, so that a late or repeated one means nothing. The answer to a key is always the same.
The console ends the earlier certificate once it has heard the device by the newer one, not before.
"""

import re
from dataclasses import dataclass
from typing import Final

from littoral.bundle.manifest import check_id
from littoral.wire.message import Message

RENEW_HEADER: Final = "Littoral-Renew"
SHORT: Final = 16  # hex digits of a certificate's sha256 by which messages name it
_SHORT: Final = re.compile(rf"[0-9a-f]{{{SHORT}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew(Message):
    """The console asks for a newer key in place of one certificate's."""

    certificate: str  # 16 hex digits of the sha256 of the one to replace

    def __post_init__(self) -> None:
        _check_short(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewRequest(Message):
    """A newer key asks for its certificate, as the device that asks already is."""

    device: str
    incarnation: int
    certificate: str  # the present one, as in Renew: who has an earlier one does not know it
    csr: str  # PEM, signed by the newer key; the console overrides its subject

    def __post_init__(self) -> None:
        check_id("device", self.device)
        _check_short(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed(Message):
    """The certificate, of the same device in the same incarnation."""

    certificate: str  # PEM: the device's, then the intermediate's
    device_ca: str  # PEM of the device CA's root, whose digest the root metadata anchors


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied(Message):
    """Said once, to whoever listens, before a broker denies a device everything."""

    incarnation: int
    code: str  # revoked, frozen
    error: str  # the same in words


def _check_short(certificate: str) -> None:
    if not _SHORT.fullmatch(certificate):
        raise ValueError(f"certificate: expected {SHORT} hex digits")


def short(sha256: str) -> str:
    """Return how messages name the certificate of this sha256."""
    return sha256[:SHORT]
