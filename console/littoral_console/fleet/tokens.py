"""``littoral fleet tokens``: admit devices, each by a token that works once."""

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import click

from littoral.commands.output import JSON, Group, emit
from littoral_console.fleet.asking import console, pairs
from littoral_console.show import ago, labelled, table

_HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@click.group(cls=Group, epilog="Example: littoral fleet tokens new --label site=berlin")
def tokens() -> None:
    """Admit devices, each by a token that works once."""


@tokens.command("new", epilog="Example: littoral fleet tokens new --device pi-7 --approve")
@click.option("--device", help="The only name it may give.")
@click.option("--serial", help="The only board that may use it.")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE; repeat.")
@click.option("--approve", is_flag=True, help="An operator has to approve whoever uses it.")
@click.option("--hours", default=24.0, show_default=True, help="How long it may be used.")
@click.option(
    "--credential", is_flag=True, help="Print the file by which a board enrols by itself."
)
@JSON
def new_token(
    *,
    device: str | None,
    serial: str | None,
    labels: tuple[str, ...],
    approve: bool,
    hours: float,
    credential: bool,
    as_json: bool,
) -> None:
    """Print a token for 'littoral enroll'; it is shown this once."""
    body = {
        "device": device,
        "serial": serial,
        "labels": pairs(labels),
        "approve": approve,
        "lives_s": max(int(hours * 3600), 1),
    }
    found = console().post("enrolment-tokens", body)
    text = found["credential"].rstrip() if credential else found["token"]
    emit(found, as_json=as_json, text=text)
    if credential and urlsplit(found["url"]).hostname in _HERE:
        click.echo(
            f"note: {found['url']} is for this machine alone; other boards find a console that was "
            "started with --devices and --name",
            err=True,
        )


@tokens.command("list", epilog="Example: littoral fleet tokens list")
@JSON
def list_tokens(*, as_json: bool) -> None:
    """List the tokens that were made, and what became of each; secrets are not kept."""
    found = console().get("enrolment-tokens")
    rows = [
        (
            t["id"],
            _meant(t),
            labelled(t["labels"]),
            t["created_by"],
            ago(t["created_ms"]),
            _state(t),
        )
        for t in found
    ]
    heads = ("token", "for", "labels", "by", "made", "state")
    emit({"tokens": found}, as_json=as_json, text=table(heads, rows))


@tokens.command("revoke", epilog="Example: littoral fleet tokens revoke 7")
@click.argument("token", type=int)
@JSON
def revoke_token(token: int, *, as_json: bool) -> None:
    """Make the token of that number worthless, and the claim by it."""
    found = console().post(f"enrolment-tokens/{token}/revoke")
    emit(found, as_json=as_json, text=f"token {token}: {_state(found)}")


def _meant(token: Mapping[str, Any]) -> str:
    words = [token["device"] or "any device"]
    if token["serial"]:
        words.append(f"on the board {token['serial']}")
    if token["approve"]:
        words.append("if approved")
    return ", ".join(words)


def _state(token: Mapping[str, Any]) -> str:
    now_ms = time.time() * 1000
    if token["used_ms"]:
        return f"used {ago(token['used_ms'])} by {token['used_by']}"
    if token["claim_state"]:
        return f"claim {token['claim']} {token['claim_state']}"
    if token["expires_ms"] <= now_ms:
        return "over"
    return f"open for {(token['expires_ms'] - now_ms) / 3_600_000:.1f} h"
