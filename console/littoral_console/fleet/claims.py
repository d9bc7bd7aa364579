"""``littoral fleet claims``: the boards that wait for an operator, and the operator's word."""

from collections.abc import Callable
from typing import Any

import click

from littoral.commands.output import JSON, Group, emit
from littoral_console.fleet.asking import console
from littoral_console.show import ago, table

_STATES = ("waiting", "approved", "enrolled", "refused", "all")
_CLAIM = click.argument("claim", type=int)


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="Example: littoral fleet claims, then littoral fleet claims approve 3",
)
@click.option(
    "--state", type=click.Choice(_STATES), default="waiting", show_default=True, help="Which."
)
@JSON
@click.pass_context
def claims(context: click.Context, *, state: str, as_json: bool) -> None:
    """List the boards that wait for an operator; approve or refuse one.

    Compare the fingerprint with what 'littoral enroll' or 'littoral status' shows on the board.
    """
    if context.invoked_subcommand is not None:
        return
    found = console().get("claims", state=state)
    rows = [
        (
            c["id"],
            c["device"] if c["incarnation"] is None else f"{c['device']} (comes back)",
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
def approve(claim: int, *, as_json: bool) -> None:
    """Let the board become a device, when it asks next."""
    _decide(claim, "approve", lambda c: f"{c['device']} is approved", as_json=as_json)


@claims.command(epilog="Example: littoral fleet claims refuse 3")
@_CLAIM
@JSON
def refuse(claim: int, *, as_json: bool) -> None:
    """Turn the board away; its token admits nobody any more."""
    _decide(claim, "refuse", lambda c: f"{c['device']} is refused", as_json=as_json)


def _decide(
    number: int, word: str, said: Callable[[dict[str, Any]], str], *, as_json: bool
) -> None:
    found = console().post(f"claims/{number}/{word}")
    emit(found, as_json=as_json, text=f"claim {number}: {said(found)}")
