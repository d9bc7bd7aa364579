"""How a board becomes a device: a token that works once, a name, a certificate.

All of it is one transaction: a token that named a device is used, one that was refused is
not. A board whose answer was lost may ask again by the same key and gets the same again. The
board's serial owns the name: it may come back under it, as another incarnation, and nobody
else may, but by a token that an operator made for that name and for that other board. What
waits for an operator's word is a claim: littoral_console.claims.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from littoral.bundle.manifest import check_id
from littoral.errors import DeniedError
from littoral.trust import certificates, identity
from littoral.wire.enrolment import EnrollRequest
from littoral_console import audit, claims, identities, renewal, tokens
from littoral_console import tables as t
from littoral_console.accounts import digest

_USED: Final = "the token was used already; ask for a new one"


class UnknownTokenError(DeniedError):
    """Whoever asks may be guessing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Who the board is now."""

    device: str
    incarnation: int
    certificate: str  # PEM, the intermediate's after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The board waits for an operator."""

    claim: int
    device: str


def enroll(
    connection: Connection,
    request: EnrollRequest,
    *,
    authority: certificates.Authority,
    fleet: str,
    address: str,
    now_ms: int,
) -> Admitted | Claimed:
    """Admit the board that asks, and use up its token; or take note that it waits.

    Raises:
        UnknownTokenError: There is no such token.
        DeniedError: The token or the name is not for it.
        MalformedError: Its certificate request is none.

    """
    key = certificates.requested(request.csr)
    token = _token(connection, request)
    if not request.named:
        request = replace(request, device=_own_name(connection, request, token=token))
    _check(connection, request, token=token, now_ms=now_ms)
    if token.used_ms is not None:
        return _again(connection, request, key=identity.key_digest(key))
    incarnation = _incarnation(connection, request, token=token)
    if token.approve:
        number, state = claims.ask(
            connection,
            request,
            token=token.id,
            key=identity.key_digest(key),
            address=address,
            now_ms=now_ms,
        )
        if state is claims.State.WAITING:
            return Claimed(claim=number, device=request.device)
        claims.admitted(connection, token.id)
    return _let_in(
        connection,
        request,
        token=token,
        incarnation=incarnation,
        authority=authority,
        fleet=fleet,
        now_ms=now_ms,
    )


def _let_in(
    connection: Connection,
    request: EnrollRequest,
    *,
    token: Row[*tuple[Any, ...]],
    incarnation: int,
    authority: certificates.Authority,
    fleet: str,
    now_ms: int,
) -> Admitted:
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


def _again(connection: Connection, request: EnrollRequest, *, key: str) -> Admitted:
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
    if held is None or key != renewal.key_of(held.chain):
        raise DeniedError(_USED)
    return Admitted(device=request.device, incarnation=held.incarnation, certificate=held.chain)


def _token(connection: Connection, request: EnrollRequest) -> Row[*tuple[Any, ...]]:
    c = t.enrolment_tokens.c
    found = connection.execute(
        select(t.enrolment_tokens).where(c.digest == digest(request.secret)).with_for_update()
    ).one_or_none()
    if found is None:
        raise UnknownTokenError("this console made no such token; ask for a new one")
    return found


def _own_name(
    connection: Connection, request: EnrollRequest, *, token: Row[*tuple[Any, ...]]
) -> str:
    """Return the name of a board that chose none: the token's, its own, or its suggestion."""
    if token.device is not None:
        return str(token.device)
    d = t.devices.c
    held = connection.scalar(select(d.id).where(d.serial == request.serial))
    return request.device if held is None else str(held)


def _check(
    connection: Connection,
    request: EnrollRequest,
    *,
    token: Row[*tuple[Any, ...]],
    now_ms: int,
) -> None:
    """Raise DeniedError unless the token is for this board, and still works."""
    if token.used_ms is not None and token.used_by != request.device:
        raise DeniedError(_USED)
    # A claim outlives its token: it is bound to a key, and an operator may take days.
    if token.expires_ms <= now_ms and claims.of(connection, token.id) is None:
        raise DeniedError("the token's time is over; ask for a new one")
    if token.device not in (None, request.device):
        raise DeniedError(
            f"the token is for the device {token.device!r}, not {request.device!r}; "
            "enrol under that name, or ask for another token"
        )
    if token.serial not in (None, request.serial):
        raise DeniedError(
            f"the token is for another board than {request.serial[:64]!r}, by its serial number; "
            "ask for one for this board"
        )


def _incarnation(
    connection: Connection, request: EnrollRequest, *, token: Row[*tuple[Any, ...]]
) -> int:
    try:
        check_id("device", request.device)
    except ValueError as e:
        raise DeniedError(str(e)) from e
    if not tokens.is_serial(request.serial):
        raise DeniedError(tokens.SERIALS)
    c = t.devices.c
    held = connection.execute(
        select(t.devices)
        .where((c.id == request.device) | (c.serial == request.serial))
        .with_for_update()
    ).all()
    moves = (token.device, token.serial) == (request.device, request.serial)
    for row in held:
        if row.id != request.device:
            raise DeniedError(
                f"this board is enrolled as {row.id!r} and keeps that name; enrol it under it"
            )
        if row.serial != request.serial and not moves:
            raise DeniedError(
                f"the name {request.device!r} is held by another board; only a token made for "
                "that name and this board's serial number moves it"
            )
        if identities.standing(row) != "enrolled" and token.device != request.device:
            raise DeniedError(
                f"{request.device!r} is {identities.standing(row)}; only a token made for that "
                "name brings it back"
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
        **identities.ANEW,
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
    changed = {**said, "serial": request.serial}
    if token.labels:
        changed["labels"] = token.labels
    connection.execute(update(t.devices).where(t.devices.c.id == request.device).values(**changed))
