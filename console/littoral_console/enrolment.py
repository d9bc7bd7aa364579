"""How a board becomes a device: a token that works once, a name, a certificate.

All of it is one transaction: a token that named a device is used, one that was refused is
not. A board whose answer was lost may ask again by the same key and gets the same again. The
board's serial owns the name: it may come back under it, as another incarnation, and nobody
else may.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, Row, insert, select, update

from littoral.bundle.manifest import check_id
from littoral.errors import DeniedError, MalformedError, MisuseError
from littoral.trust import certificates, identity
from littoral.wire.enrolment import EnrollRequest
from littoral_console import audit
from littoral_console import tables as t
from littoral_console.accounts import digest

DAY_MS: Final = 24 * 3600 * 1000
_SERIAL: Final = 128
_USED: Final = "the token was used already; ask for a new one"


class UnknownTokenError(DeniedError):
    """Whoever asks may be guessing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Who the board is now."""

    device: str
    incarnation: int
    certificate: str  # PEM, the intermediate's after it


def new_token(
    connection: Connection,
    *,
    who: str,
    now_ms: int,
    lives_ms: int = DAY_MS,
    device: str | None = None,
    serial: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Return the secret of an enrolment token, which works once. Raises MisuseError."""
    if lives_ms <= 0:
        raise MisuseError("a token lives longer than no time")
    secret = secrets.token_urlsafe(32)
    try:
        name = None if device is None else check_id("device", device)
    except ValueError as e:
        raise MisuseError(str(e)) from e
    connection.execute(
        insert(t.enrolment_tokens).values(
            digest=digest(secret),
            device=name,
            serial=serial,
            labels=check_labels(labels or {}),
            created_ms=now_ms,
            created_by=who,
            expires_ms=now_ms + lives_ms,
        )
    )
    audit.record(
        connection,
        "enrolment-token.new",
        who=who,
        subject=device or "any device",
        now_ms=now_ms,
        detail={"serial": serial, "labels": dict(labels or {}), "lives_s": lives_ms // 1000},
    )
    return secret


def revoke_token(connection: Connection, number: int, *, who: str, now_ms: int) -> None:
    """Make an enrolment token worthless, if it still admits somebody. Can be done twice."""
    c = t.enrolment_tokens.c
    done = connection.execute(
        update(t.enrolment_tokens)
        .where(c.id == number, c.used_ms.is_(None), c.expires_ms > now_ms)
        .values(expires_ms=now_ms)
    )
    if done.rowcount:
        audit.record(
            connection, "enrolment-token.revoke", who=who, subject=f"token {number}", now_ms=now_ms
        )


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return ``labels`` if selectors can speak of them. Raises MisuseError."""
    from littoral_console.selectors import KEYS, WORD

    for name, value in labels.items():
        if not WORD.fullmatch(name) or not WORD.fullmatch(value) or name in KEYS:
            raise MisuseError(
                f"label {name}={value}: expected words of letters, digits and '._:-', "
                f"and a name other than {', '.join(KEYS)}"
            )
    return dict(labels)


def enroll(
    connection: Connection,
    request: EnrollRequest,
    *,
    authority: certificates.Authority,
    fleet: str,
    now_ms: int,
) -> Admitted:
    """Admit the board that asks, and use up its token.

    Raises:
        UnknownTokenError: There is no such token.
        DeniedError: The token or the name is not for it.
        MalformedError: Its certificate request is none.

    """
    token = _token(connection, request, now_ms=now_ms)
    if token.used_ms is not None:
        return _again(connection, request)
    incarnation = _incarnation(connection, request, token=token)
    chain = certificates.issue_device(
        request.csr,
        fleet=fleet,
        device=request.device,
        incarnation=incarnation,
        ca=authority,
        now=datetime.fromtimestamp(now_ms / 1000, UTC),
    )
    _admit(connection, request, incarnation=incarnation, token=token, now_ms=now_ms)
    leaf = identity.load_pem(chain, "device certificate")[0]
    connection.execute(
        insert(t.incarnations).values(
            device=request.device,
            incarnation=incarnation,
            certificate=f"{leaf.serial_number:x}",
            certificate_sha256=identity.digest(leaf),
            chain=chain,
            created_ms=now_ms,
        )
    )
    connection.execute(
        update(t.enrolment_tokens)
        .where(t.enrolment_tokens.c.id == token.id)
        .values(used_ms=now_ms, used_by=request.device)
    )
    audit.record(
        connection,
        "device.enroll",
        who=request.device,
        subject=request.device,
        now_ms=now_ms,
        detail={"serial": request.serial, "incarnation": incarnation, "token": token.id},
    )
    return Admitted(device=request.device, incarnation=incarnation, certificate=chain)


def _again(connection: Connection, request: EnrollRequest) -> Admitted:
    """Return what the board was answered before: it has the key of then. Raises DeniedError."""
    i, d = t.incarnations.c, t.devices.c
    held = connection.execute(
        select(i.incarnation, i.chain).join(
            t.devices,
            (d.id == i.device)
            & (d.incarnation == i.incarnation)
            & (d.id == request.device)
            & (d.serial == request.serial)
            & d.revoked_ms.is_(None),
        )
    ).one_or_none()
    if held is None or _requested(request.csr) != _of(held.chain):
        raise DeniedError(_USED)
    return Admitted(device=request.device, incarnation=held.incarnation, certificate=held.chain)


def _requested(csr: str) -> object:
    try:
        return x509.load_pem_x509_csr(csr.encode()).public_key()
    except ValueError as e:
        raise MalformedError(f"certificate request: {e}") from e


def _of(chain: str) -> object:
    return identity.load_pem(chain, "device certificate")[0].public_key()


def _token(connection: Connection, request: EnrollRequest, *, now_ms: int) -> Row[*tuple[Any, ...]]:
    c = t.enrolment_tokens.c
    found = connection.execute(
        select(t.enrolment_tokens).where(c.digest == digest(request.secret)).with_for_update()
    ).one_or_none()
    if found is None:
        raise UnknownTokenError("this console made no such token; ask for a new one")
    if found.used_ms is not None and found.used_by != request.device:
        raise DeniedError(_USED)
    if found.expires_ms <= now_ms:
        raise DeniedError("the token's time is over; ask for a new one")
    if found.device not in (None, request.device):
        raise DeniedError(f"the token is for the device {found.device!r}, not {request.device!r}")
    if found.serial not in (None, request.serial):
        raise DeniedError("the token is for another board, by its serial number")
    return found


def _incarnation(
    connection: Connection, request: EnrollRequest, *, token: Row[*tuple[Any, ...]]
) -> int:
    try:
        check_id("device", request.device)
    except ValueError as e:
        raise DeniedError(str(e)) from e
    if not 1 <= len(request.serial) <= _SERIAL or not request.serial.isprintable():
        raise DeniedError(f"a board's serial number has 1 to {_SERIAL} printable characters")
    c = t.devices.c
    held = connection.execute(
        select(t.devices)
        .where((c.id == request.device) | (c.serial == request.serial))
        .with_for_update()
    ).all()
    for row in held:
        if row.id != request.device:
            raise DeniedError(f"this board is enrolled as {row.id!r}; it keeps that name")
        if row.serial != request.serial:
            raise DeniedError(f"the name {request.device!r} is held by another board")
        if row.revoked_ms is not None and token.device != request.device:
            raise DeniedError(
                f"{request.device!r} was revoked; only a token made for that name brings it back"
            )
    return held[0].incarnation + 1 if held else 1


def _admit(
    connection: Connection,
    request: EnrollRequest,
    *,
    incarnation: int,
    token: Row[*tuple[Any, ...]],
    now_ms: int,
) -> None:
    said = {
        "incarnation": incarnation,
        "revoked_ms": None,
        "software": request.software[:64],
        "hardware": [name[:32] for name in request.hardware[:16]],
        "online": False,
        "last_seen_ms": now_ms,
        "serving": False,
        "director": 0,
    }
    if incarnation == 1:
        connection.execute(
            insert(t.devices).values(
                id=request.device,
                serial=request.serial,
                labels=token.labels,
                created_ms=now_ms,
                **said,
            )
        )
        return
    changed = {**said, "labels": token.labels} if token.labels else said
    connection.execute(update(t.devices).where(t.devices.c.id == request.device).values(**changed))
