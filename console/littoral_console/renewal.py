"""A newer key for a device that is one already: its certificate, and the end of the one before.

The answer to a key is always the same, so that a lost one is asked for again. The earlier
certificate is believed until the device was heard by the newer one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, func, insert, select, update

from littoral.errors import DeniedError
from littoral.trust import certificates, identity
from littoral.wire.identity import Renew, Renewed, RenewRequest, short
from littoral_console import audit, identities
from littoral_console import tables as t

MOST_A_DAY: Final = 10  # keys of one device
_DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who certifies devices."""

    authority: certificates.Authority
    fleet: str

    @property
    def root(self) -> str:
        return self.authority.root.public_bytes(Encoding.PEM).decode()


def renew(
    connection: Connection, request: RenewRequest, *, device: str, issuer: Issuer, now_ms: int
) -> Renewed:
    """Return the certificate of the newer key of ``device``, who was proven to ask.

    Raises:
        DeniedError: It speaks for another, is none any more, has that key already, or asks too
            often.
        MalformedError: Its certificate request is none.

    """
    if request.device != device:
        raise DeniedError(f"{device} asks for a certificate of {request.device}")
    identities.check(connection, device, request.incarnation)
    key = identity.key_digest(certificates.requested(request.csr))
    c = t.renewals.c
    mine = (c.device == device, c.incarnation == request.incarnation)
    chain = connection.scalar(select(c.chain).where(*mine, c.key == key, c.dropped_ms.is_(None)))
    if chain is None:
        chain = _issue(connection, request, key=key, issuer=issuer, now_ms=now_ms)
    return Renewed(certificate=chain, device_ca=issuer.root)


def heard(connection: Connection, device: str, certificate: str, *, now_ms: int) -> bool:
    """Take note that the device speaks by ``certificate``, as messages name it.

    Return whether that ended another one's time.
    """
    held = identities.state(connection, device)
    if held is None or not certificate or held.renewal != certificate:
        return False
    c, i = t.renewals.c, t.incarnations.c
    mine = (c.device == device, c.incarnation == held.incarnation)
    newer = connection.execute(
        select(t.renewals).where(*mine, c.heard_ms.is_(None), c.dropped_ms.is_(None))
    ).one()
    present = (i.device == device, i.incarnation == held.incarnation)
    replaced = connection.scalar(select(i.certificate).where(*present))
    connection.execute(
        update(t.renewals)
        .where(*mine, c.key == newer.key)
        .values(heard_ms=now_ms, replaced=replaced)
    )
    connection.execute(
        update(t.incarnations)
        .where(*present)
        .values(
            certificate=newer.certificate,
            certificate_sha256=newer.certificate_sha256,
            chain=newer.chain,
        )
    )
    row = update(t.devices).where(t.devices.c.id == device)
    connection.execute(row.values(renewal=None, rotate_ms=None))
    audit.record(
        connection,
        "device.renew",
        who=device,
        subject=device,
        now_ms=now_ms,
        detail={"certificate": newer.certificate, "replaced": replaced},
    )
    return True


def wanted(connection: Connection, device: str) -> Renew | None:
    """Return what to ask of ``device``, None when it shall keep its key."""
    i, d = t.incarnations.c, t.devices.c
    found = connection.scalar(
        select(i.certificate_sha256).join(
            t.devices,
            (d.id == i.device)
            & (d.incarnation == i.incarnation)
            & (d.id == device)
            & d.rotate_ms.is_not(None)
            & d.revoked_ms.is_(None)
            & d.frozen_ms.is_(None),
        )
    )
    return None if found is None else Renew(certificate=short(found))


def _issue(
    connection: Connection, request: RenewRequest, *, key: str, issuer: Issuer, now_ms: int
) -> str:
    device, incarnation = request.device, request.incarnation
    _check_new(connection, request, key=key, now_ms=now_ms)
    chain = certificates.issue_device(
        request.csr,
        fleet=issuer.fleet,
        device=device,
        incarnation=incarnation,
        ca=issuer.authority,
        now=datetime.fromtimestamp(now_ms / 1000, UTC),
    )
    leaf = identity.load_pem(chain, "device certificate")[0]
    c = t.renewals.c
    connection.execute(
        update(t.renewals)
        .where(c.device == device, c.heard_ms.is_(None), c.dropped_ms.is_(None))
        .values(dropped_ms=now_ms)
    )
    connection.execute(
        insert(t.renewals).values(
            device=device,
            incarnation=incarnation,
            key=key,
            certificate=f"{leaf.serial_number:x}",
            certificate_sha256=identity.digest(leaf),
            chain=chain,
            issued_ms=now_ms,
        )
    )
    row = update(t.devices).where(t.devices.c.id == device)
    connection.execute(row.values(renewal=short(identity.digest(leaf))))
    return chain


def _check_new(connection: Connection, request: RenewRequest, *, key: str, now_ms: int) -> None:
    """Raise DeniedError unless this key is another than every one before, and not too many came.

    Over a broker a connection may stand that an earlier certificate opened: who asks must know
    the present one.
    """
    i, c = t.incarnations.c, t.renewals.c
    mine = (i.device == request.device, i.incarnation == request.incarnation)
    present = connection.scalar(select(i.certificate_sha256).where(*mine))
    if present is None or short(present) != request.certificate:
        raise DeniedError(f"{request.device}: certificate {request.certificate} is not the present")
    chains = connection.scalars(select(i.chain).where(i.device == request.device))
    earlier = select(c.key).where(c.device == request.device, c.key == key)
    if connection.scalar(earlier) is not None or key in map(key_of, chains):
        raise DeniedError(f"{request.device} had that key before; a newer one is asked for")
    today = select(func.count()).where(c.device == request.device, c.issued_ms > now_ms - _DAY_MS)
    if (connection.scalar(today) or 0) >= MOST_A_DAY:
        raise DeniedError(f"{request.device} had {MOST_A_DAY} newer keys within a day already")


def key_of(chain: str) -> str:
    """Return the digest of the key that a device's chain in PEM is for."""
    return identity.key_digest(identity.load_pem(chain, "device certificate")[0].public_key())
