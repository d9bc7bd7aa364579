"""``littoral fleet tokens``: admit devices, each by a token that works once."""

import click

from littoral.commands.output import JSON, Group, emit
from littoral_console.fleet.asking import console, pairs
from littoral_console.show import ago, table


@click.group(cls=Group, epilog="Example: littoral fleet tokens new --label site=berlin")
def tokens() -> None:
    """Admit devices, each by a token that works once."""


@tokens.command("new", epilog="Example: littoral fleet tokens new --label site=berlin")
@click.option("--device", help="The only name it may give.")
@click.option("--serial", help="The only board that may use it.")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE; repeat.")
@click.option("--hours", default=24.0, show_default=True, help="How long it may be used.")
@JSON
def new_token(
    *, device: str | None, serial: str | None, labels: tuple[str, ...], hours: float, as_json: bool
) -> None:
    """Print a token for 'littoral enroll'; it is shown this once."""
    body = {
        "device": device,
        "serial": serial,
        "labels": pairs(labels),
        "lives_s": max(int(hours * 3600), 1),
    }
    found = console().post("enrolment-tokens", body)
    emit(found, as_json=as_json, text=found["token"])


@tokens.command("list", epilog="Example: littoral fleet tokens list")
@JSON
def list_tokens(*, as_json: bool) -> None:
    """List the tokens that were made; the secrets themselves are not kept."""
    found = console().get("enrolment-tokens")
    rows = [
        (t["id"], t["device"] or "any", t["created_by"], ago(t["created_ms"]), t["used_by"] or "")
        for t in found
    ]
    heads = ("token", "for", "by", "made", "used by")
    emit({"tokens": found}, as_json=as_json, text=table(heads, rows))
