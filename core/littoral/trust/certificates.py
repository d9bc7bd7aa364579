"""Certificates: two small authorities, and what they issue. P-256 throughout.

The device CA names devices (its root is offline, an intermediate online); the console CA
names consoles and servers. A device is ``CN=<id>, O=<fleet>, OU=<incarnation>``, may be a
TLS client and nothing else; a console is ``console.<replica>``, which no device's id can be.
What a request says of itself is never copied: the issuer states the subject.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from littoral import durable
from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError, MisuseError
from littoral.trust.identity import MAX_PEM_BYTES
from littoral.trust.keys import load_private, new_key, p256_of

CA_LIFE: Final = timedelta(days=30 * 365)
DEVICE_LIFE: Final = timedelta(days=10 * 365)
SERVER_LIFE: Final = timedelta(days=2 * 365)
BACKDATED: Final = timedelta(days=1)  # a peer's clock may be behind the issuer's
_CONSOLE = re.compile(r"console\.[a-z0-9-]{1,50}")
_PATH_LENGTH_ROOT: Final = 1
_EVERY_HOST: Final = x509.DNSName("")  # and all below it


@dataclass(frozen=True, slots=True)
class Authority:
    """A key that issues, and its own chain: itself first, its root last."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def root(self) -> x509.Certificate:
        return self.chain[-1]

    @classmethod
    def load(cls, key: Path, certificate: Path) -> "Authority":
        """Read what ``new_ca`` or ``new_intermediate`` made. Raises MisuseError."""
        try:
            chain = tuple(x509.load_pem_x509_certificates(certificate.read_bytes()))
        except (OSError, ValueError) as e:
            raise MisuseError(f"{certificate}: expected certificates in PEM: {e}") from e
        secret = p256_of(load_private(key))
        if secret.public_key() != chain[0].public_key():
            raise MisuseError(f"{key}: not the key of {certificate}")
        return cls(secret, chain)


def new_ca(
    key: Path, certificate: Path, *, name: str, now: datetime, for_devices: bool = False
) -> Authority:
    """Make a root authority in two files, or return the one that is there.

    One ``for_devices`` leads to no name with a dot, which is how OpenSSL reads the name of a
    server or a console. A broker believes both authorities, and cannot tell who issued what.
    """
    if not certificate.exists():
        secret = _secret(key)
        subject = _name(name)
        builder = _builder(subject, subject, secret.public_key(), now=now, life=CA_LIFE)
        builder = _as_authority(builder, path_length=_PATH_LENGTH_ROOT)
        if for_devices:
            every = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[_EVERY_HOST])
            builder = builder.add_extension(every, critical=True)
        builder = _identified(builder, secret.public_key(), by=secret.public_key())
        durable.replace(certificate, _pem(builder.sign(secret, SHA256())), mode=0o644)
    return Authority.load(key, certificate)


def new_intermediate(
    key: Path, certificate: Path, *, ca: Authority, name: str, now: datetime
) -> Authority:
    """Make an authority below ``ca`` in two files, or return the one that is there."""
    if not certificate.exists():
        secret = _secret(key)
        issuer = ca.certificate.subject
        builder = _builder(_name(name), issuer, secret.public_key(), now=now, life=CA_LIFE)
        builder = _as_authority(builder, path_length=0)
        builder = _identified(builder, secret.public_key(), by=ca.key.public_key())
        chain = _pem(builder.sign(ca.key, SHA256())) + b"".join(map(_pem, ca.chain))
        durable.replace(certificate, chain, mode=0o644)
    return Authority.load(key, certificate)


def issue_device(
    csr: str,
    *,
    fleet: str,
    device: str,
    incarnation: int,
    ca: Authority,
    now: datetime,
    life: timedelta = DEVICE_LIFE,
) -> str:
    """Return a device's certificate, and after it the intermediate's, in PEM.

    Raises:
        MalformedError: It is no request, not signed by its own key, or of another kind of key.

    """
    public = requested(csr)
    if incarnation < 1:
        raise ValueError("incarnations count from 1")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, check_id("device", device)),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, fleet),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(incarnation)),
        ]
    )
    leaf = _leaf(subject, public, ca=ca, to=ExtendedKeyUsageOID.CLIENT_AUTH, now=now, life=life)
    return _chain(leaf, ca).decode()


def issue_server(
    names: Sequence[str], *, ca: Authority, key: Path, certificate: Path, now: datetime
) -> None:
    """Write a server's key, if there is none, and its chain, for DNS names and IP addresses."""
    public = _secret(key).public_key()
    leaf = _leaf(
        _name(names[0][:64]),
        public,
        ca=ca,
        to=ExtendedKeyUsageOID.SERVER_AUTH,
        now=now,
        life=SERVER_LIFE,
        names=names,
    )
    durable.replace(certificate, _chain(leaf, ca), mode=0o644)


def issue_client(name: str, *, ca: Authority, key: Path, certificate: Path, now: datetime) -> None:
    """Write the key, if there is none, and the chain of the console ``console.<replica>``."""
    if not _CONSOLE.fullmatch(name):
        raise ValueError(f"expected console.REPLICA of a-z, 0-9 and '-', found {name!r}")
    public = _secret(key).public_key()
    leaf = _leaf(_name(name), public, ca=ca, to=ExtendedKeyUsageOID.CLIENT_AUTH, now=now)
    durable.replace(certificate, _chain(leaf, ca), mode=0o644)


def requested(csr: str) -> ec.EllipticCurvePublicKey:
    """Return the key that asks, and that signed that it does. Raises MalformedError."""
    if len(csr) > MAX_PEM_BYTES:
        raise MalformedError(f"certificate request: more than {MAX_PEM_BYTES} bytes")
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        public, valid = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise MalformedError(f"certificate request: expected one in PEM: {e}") from e
    if not valid or not isinstance(public, ec.EllipticCurvePublicKey):
        raise MalformedError("certificate request: expected one signed by its own P-256 key")
    if not isinstance(public.curve, ec.SECP256R1):
        raise MalformedError(f"certificate request: expected P-256, found {public.curve.name}")
    return public


def _secret(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        new_key(path, "p256")
    return p256_of(load_private(path))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _as_authority(builder: x509.CertificateBuilder, *, path_length: int) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return builder.add_extension(constraints, critical=True).add_extension(
        _usage(signs_certificates=True), critical=True
    )


def _leaf(
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    *,
    ca: Authority,
    to: x509.ObjectIdentifier,
    now: datetime,
    life: timedelta = DEVICE_LIFE,
    names: Sequence[str] = (),
) -> x509.Certificate:
    """Return the certificate of a TLS client or server (``to``), which may issue none."""
    builder = _builder(subject, ca.certificate.subject, public, now=now, life=life)
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    builder = (
        builder.add_extension(constraints, critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([to]), critical=False)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return _identified(builder, public, by=ca.key.public_key()).sign(ca.key, SHA256())


def _chain(leaf: x509.Certificate, ca: Authority) -> bytes:
    """Return what a peer is sent: all but the root, which it has."""
    return b"".join(map(_pem, (leaf, *ca.chain[:-1])))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _identified(
    builder: x509.CertificateBuilder,
    public: ec.EllipticCurvePublicKey,
    *,
    by: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by)
    return builder.add_extension(own, critical=False).add_extension(issuer, critical=False)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
