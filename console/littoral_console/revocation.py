"""Certificates that are worth nothing any more: of revoked devices and of earlier incarnations.

HTTPS asks the tables. A broker asks a list for each authority whose certificates it meets,
and one that has run out would shut everybody out: so these end when the authorities do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select

from littoral.trust.certificates import Authority
from littoral_console import tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Who is denied everything, and whose certificates are believed no more."""

    devices: frozenset[str] = frozenset()
    certificates: tuple[int, ...] = ()  # their serial numbers


def revoked(connection: Connection) -> Revoked:
    """Return what is revoked now."""
    d, i = t.devices.c, t.incarnations.c
    devices = connection.scalars(select(d.id).where(d.revoked_ms.is_not(None)))
    certificates = connection.scalars(
        select(i.certificate)
        .join(t.devices, d.id == i.device)
        .where((i.incarnation < d.incarnation) | d.revoked_ms.is_not(None))
    )
    return Revoked(
        devices=frozenset(devices),
        certificates=tuple(sorted(int(number, 16) for number in certificates)),
    )


def lists(
    certificates: Iterable[int], *, device_ca: Authority, console_ca: Authority, now: datetime
) -> bytes:
    """Return the revocation lists of both authorities, in PEM; the console's is empty."""
    return _list(device_ca, certificates, now=now) + _list(console_ca, (), now=now)


def _list(authority: Authority, certificates: Iterable[int], *, now: datetime) -> bytes:
    ends = authority.certificate.not_valid_after_utc
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(authority.certificate.not_valid_before_utc)  # a broker's clock may be behind
        .next_update(ends)
    )
    for number in certificates:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(number)
            .revocation_date(now.astimezone(UTC))
            .build()
        )
    return builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM)
