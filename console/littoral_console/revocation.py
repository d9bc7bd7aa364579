"""Certificates that are worth nothing any more: of devices that are none, and replaced ones.

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
class Ended:
    """Who is denied everything, and whose certificates are believed no more."""

    devices: frozenset[str] = frozenset()
    certificates: tuple[int, ...] = ()  # their serial numbers


def ended(connection: Connection) -> Ended:
    """Return what ended by now."""
    d, i, r = t.devices.c, t.incarnations.c, t.renewals.c
    unheard = d.revoked_ms.is_not(None) | d.frozen_ms.is_not(None)
    devices = connection.scalars(select(d.id).where(unheard))
    numbers: set[str] = set()
    for which in (
        # of devices that are heard no more, and of earlier incarnations
        select(i.certificate)
        .join(t.devices, d.id == i.device)
        .where((i.incarnation < d.incarnation) | unheard),
        select(r.certificate)
        .join(t.devices, d.id == r.device)
        .where((r.incarnation < d.incarnation) | unheard),
        # whose place a newer one took
        select(r.replaced).where(r.heard_ms.is_not(None), r.replaced.is_not(None)),
        select(r.certificate).where(r.dropped_ms.is_not(None)),
    ):
        numbers.update(connection.scalars(which))
    return Ended(
        devices=frozenset(devices),
        certificates=tuple(sorted(int(number, 16) for number in numbers)),
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
