"""``littoral fleet claims``: the boards that wait for an operator, and the operator's word."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from littoral.commands.output import JSON, Group, emit
from littoral.errors import MisuseError, NotFoundError
from littoral_console.fleet.asking import console
from littoral_console.show import ago, table

_STATES = ("waiting", "approved", "enrolled", "refused", "all")
_OPEN = ("waiting", "approved")
_CLAIM = click.argument("claim")
_STATE = click.option(
    "--state", type=click.Choice(_STATES), default="waiting", show_default=True, help="Which."
)


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="Example: littoral fleet claims, then littoral fleet claims approve 3",
)
@_STATE
@JSON
@click.pass_context
def claims(context: click.Context, *, state: str, as_json: bool) -> None:
    """List the boards that wait for an operator; approve or refuse one.

    Compare the fingerprint with what 'littoral enroll' or 'littoral status' shows on the board.
    """
    if context.invoked_subcommand is None:
        _list(state, as_json=as_json)


@claims.command("list", epilog="Example: littoral fleet claims list --state all")
@_STATE
@JSON
def list_claims(*, state: str, as_json: bool) -> None:
    """List the boards that wait for an operator; 'list' may be left out."""
    _list(state, as_json=as_json)


def _list(state: str, *, as_json: bool) -> None:
    found = console().get("claims", state=state)
    rows = [
        (
            c["id"],
            f"{c['device']} (comes back)" if _comes_back(c) else c["device"],
            c["fingerprint"],
            c["serial"],
            c["address"],
            ago(c["asked_ms"]),
            ago(c["seen_ms"]),
            c["state"],
        )
        for c in found
    ]
    heads = ("claim", "device", "fingerprint of its key", "board", "from", "asked", "last", "state")
    emit({"claims": found}, as_json=as_json, text=table(heads, rows))


@claims.command(epilog="Example: littoral fleet claims approve 3")
@_CLAIM
@JSON
def approve(claim: str, *, as_json: bool) -> None:
    """Let the board become a device, when it asks next. CLAIM is a number, or a device's name."""
    _decide(claim, "approve", lambda c: f"{c['device']} is approved", as_json=as_json)


@claims.command(epilog="Example: littoral fleet claims refuse 3")
@_CLAIM
@JSON
def refuse(claim: str, *, as_json: bool) -> None:
    """Turn the board away; its token admits nobody any more. CLAIM is as with approve."""
    _decide(claim, "refuse", lambda c: f"{c['device']} is refused", as_json=as_json)


def _comes_back(claim: Mapping[str, Any]) -> bool:
    """Whether a device of that name is there before the board is let in."""
    return claim["state"] in _OPEN and claim["incarnation"] is not None


def _decide(claim: str, word: str, said: Callable[[dict[str, Any]], str], *, as_json: bool) -> None:
    number = int(claim) if claim.isascii() and claim.isdigit() else _named(claim)
    found = console().post(f"claims/{number}/{word}")
    emit(found, as_json=as_json, text=f"claim {number}: {said(found)}")


def _named(device: str) -> int:
    """Return the number of the one open claim on that name.

    Two boards may ask for one name: then only their fingerprints tell which of them is meant.
    """
    every = console().get("claims", state="all")
    found = [c for c in every if c["device"] == device and c["state"] in _OPEN]
    if not found:
        raise NotFoundError(f"no board waits as {device!r}; see: littoral fleet claims")
    if len(found) > 1:
        several = ", ".join(f"{c['id']} ({c['fingerprint']})" for c in found)
        raise MisuseError(
            f"{len(found)} boards ask for the name {device!r}: claims {several}; "
            "compare the fingerprint with the board's, and name the claim by its number"
        )
    return int(found[0]["id"])
