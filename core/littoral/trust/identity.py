"""Who a peer is, as its certificates say. Checks only; littoral.trust.certificates issues."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from littoral.bundle.manifest import check_id
from littoral.errors import ExpiredError, MalformedError, SignatureError

MAX_PEM_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a device is, as its certificate says."""

    device: str
    fleet: str
    incarnation: int
    certificate: x509.Certificate


def digest(certificate: x509.Certificate) -> str:
    """Return the sha256 of the certificate's DER, in hex: what tokens and root carry."""
    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def key_digest(key: CertificatePublicKeyTypes) -> str:
    """Return the sha256 of a public key (DER of its SubjectPublicKeyInfo), in hex."""
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(info).hexdigest()


def fingerprint(digest: str) -> str:
    """Return what two people compare of a key: 128 bits of its digest, in groups of four."""
    return "-".join(digest[i : i + 4] for i in range(0, 32, 4))


def load_pem(pem: str, what: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates in ``pem``, the leaf first. Raises MalformedError."""
    if len(pem) > MAX_PEM_BYTES:
        raise MalformedError(f"{what}: more than {MAX_PEM_BYTES} bytes of certificates")
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError as e:
        raise MalformedError(f"{what}: expected certificates in PEM: {e}") from e


def check_device(chain: str, *, root: x509.Certificate, now: datetime) -> Identity:
    """Return who the device is whose ``chain`` (PEM) leads to ``root``, the device CA's.

    Raises:
        MalformedError: It is no chain of certificates.
        SignatureError: It does not lead there, or its leaf is no device's.
        ExpiredError: Its time is over.

    """
    certificates = load_pem(chain, "device certificate")
    issuers = (*certificates[1:], root)
    for below, (issued, issuer) in enumerate(zip(certificates, issuers, strict=True)):
        _check_issued(issued, issuer, below=below)
        if now >= issued.not_valid_after_utc:
            raise ExpiredError("device certificate", expires=issued.not_valid_after_utc, now=now)
    return _device(certificates[0])


def _check_issued(issued: x509.Certificate, issuer: x509.Certificate, *, below: int) -> None:
    """Check that ``issuer``, with ``below`` authorities between it and the leaf, issued this."""
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as e:
        raise SignatureError("device certificate: its chain does not lead to the device CA") from e
    if not basic.ca or (basic.path_length is not None and basic.path_length < below):
        raise SignatureError("device certificate: issued by someone who may not issue it")


def _device(leaf: x509.Certificate) -> Identity:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        if list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH] or basic.ca:
            raise SignatureError("device certificate: not for a TLS client alone")
        return Identity(
            device=check_id("device", _one(leaf, NameOID.COMMON_NAME)),
            fleet=_one(leaf, NameOID.ORGANIZATION_NAME),
            incarnation=int(_one(leaf, NameOID.ORGANIZATIONAL_UNIT_NAME)),
            certificate=leaf,
        )
    except (ValueError, x509.ExtensionNotFound) as e:
        raise SignatureError(f"device certificate: not a device's: {e}") from e


def _one(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    if len(found) != 1:
        raise ValueError(f"expected one {oid.dotted_string} in its subject, found {len(found)}")
    return str(found[0].value)
