"""What becomes of a board that asks by a token which needs an operator's word.

A claim is bound to one token, one key, one name and one board; nobody else takes it further,
and a board that asks again, by the same key, finds what became of it. It knows claims and
operators; who is admitted, and how, is enrolment's.
"""

import enum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from littoral.errors import DeniedError, MisuseError, NotFoundError
from littoral.wire.enrolment import EnrollRequest
from littoral_console import audit
from littoral_console import tables as t

RETRY_S: Final = 5.0  # a board need not ask more often
_REFUSED: Final = "an operator refused this device; ask for a new token"


class State(enum.Enum):
    WAITING = "waiting"  # no operator has decided
    APPROVED = "approved"  # the board gets its certificate when it asks again
    ENROLLED = "enrolled"  # it has it
    REFUSED = "refused"  # its token admits nobody any more


OPEN: Final = frozenset({State.WAITING, State.APPROVED})


class Event(enum.Enum):
    APPROVE = "approve"  # an operator compared the fingerprints
    REFUSE = "refuse"  # an operator did not know the board, or revoked its token
    ADMIT = "admit"  # the board asked, and was given its certificate


TABLE: Final[dict[tuple[State, Event], State]] = {
    (State.WAITING, Event.APPROVE): State.APPROVED,
    (State.WAITING, Event.REFUSE): State.REFUSED,
    (State.APPROVED, Event.APPROVE): State.APPROVED,
    (State.APPROVED, Event.REFUSE): State.REFUSED,
    (State.APPROVED, Event.ADMIT): State.ENROLLED,
    (State.REFUSED, Event.REFUSE): State.REFUSED,
}


def step(state: State, event: Event) -> State:
    """Return the state after ``event``. Raises MisuseError where the table has none."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise MisuseError(f"a claim that is {state.value} cannot be {_DONE[event]}") from None


_DONE: Final = {Event.APPROVE: "approved", Event.REFUSE: "refused", Event.ADMIT: "admitted"}


def of(connection: Connection, token: int) -> Row[*tuple[Any, ...]] | None:
    """Return the claim that was made by the token of that number; it is held until the commit.

    Else another console's operator could refuse it between this look and what follows.
    """
    made = select(t.claims).where(t.claims.c.token == token).with_for_update()
    return connection.execute(made).one_or_none()


def ask(
    connection: Connection,
    request: EnrollRequest,
    *,
    token: int,
    key: str,
    address: str,
    now_ms: int,
) -> tuple[int, State]:
    """Return number and state of the claim of this board, made now if it is the first.

    Raises:
        DeniedError: The token was claimed by another, or the claim was refused.

    """
    held = of(connection, token)
    if held is None:
        return _new(
            connection, request, token=token, key=key, address=address, now_ms=now_ms
        ), State.WAITING
    if held.key != key:
        raise DeniedError("the token was claimed by another key already; ask for a new one")
    if held.device != request.device or held.serial != request.serial:
        raise DeniedError(
            f"this key's claim is for the name {held.device!r} and the board {held.serial}; "
            "go on with both, or ask for a new token"
        )
    if State(held.state) is State.REFUSED:
        raise DeniedError(_REFUSED)
    connection.execute(
        update(t.claims).where(t.claims.c.id == held.id).values(seen_ms=now_ms, address=address)
    )
    return int(held.id), State(held.state)


def admitted(connection: Connection, token: int) -> None:
    """Take note that the board has its certificate. Raises MisuseError before an approval."""
    held = of(connection, token)
    if held is not None:
        _move(connection, held, Event.ADMIT)


def decide(connection: Connection, number: int, event: Event, *, who: str, now_ms: int) -> None:
    """Approve or refuse a claim, by an operator's word. Can be done twice.

    Raises:
        NotFoundError: There is no such claim.
        MisuseError: It is too late for that.

    """
    held = connection.execute(
        select(t.claims).where(t.claims.c.id == number).with_for_update()
    ).one_or_none()
    if held is None:
        raise NotFoundError(f"no claim {number}; see: littoral fleet claims --state all")
    if _move(connection, held, event, decided_ms=now_ms, decided_by=who):
        audit.record(
            connection,
            f"claim.{event.value}",
            who=who,
            subject=held.device,
            now_ms=now_ms,
            detail={"claim": held.id, "serial": held.serial, "key": held.key},
        )


def _new(
    connection: Connection,
    request: EnrollRequest,
    *,
    token: int,
    key: str,
    address: str,
    now_ms: int,
) -> int:
    done = connection.execute(
        insert(t.claims)
        .values(
            token=token,
            device=request.device,
            serial=request.serial,
            key=key,
            hardware=[name[:32] for name in request.hardware[:16]],
            software=request.software[:64],
            address=address[:64],
            asked_ms=now_ms,
            seen_ms=now_ms,
            state=State.WAITING.value,
        )
        .returning(t.claims.c.id)
    )
    number = int(done.scalar_one())
    audit.record(
        connection,
        "claim.new",
        who=request.device,
        subject=request.device,
        now_ms=now_ms,
        detail={"claim": number, "serial": request.serial, "key": key, "token": token},
    )
    return number


def _move(
    connection: Connection, held: Row[*tuple[Any, ...]], event: Event, **more: object
) -> bool:
    """Let ``event`` happen to the claim; return whether that changed it."""
    before, after = State(held.state), step(State(held.state), event)
    if after is before:
        return False
    connection.execute(
        update(t.claims).where(t.claims.c.id == held.id).values(state=after.value, **more)
    )
    return True
