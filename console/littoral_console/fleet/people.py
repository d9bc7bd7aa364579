"""``littoral fleet users|api-tokens``: who may use the console, and by which secrets."""

import os
import sys
from urllib.parse import quote

import click

from littoral.commands.output import JSON, Group, emit
from littoral.errors import MisuseError
from littoral_console.fleet.asking import console
from littoral_console.show import ago, table

NEW_PASSWORD = "LITTORAL_NEW_PASSWORD"  # noqa: S105 (the name of a variable)
_NAME = click.argument("name", metavar="USER")


@click.group(cls=Group, epilog="Example: littoral fleet users add grace --role viewer")
def users() -> None:
    """Let people in: who may look, and who may change things."""


@users.command("list", epilog="Example: littoral fleet users list")
@JSON
def list_users(*, as_json: bool) -> None:
    """List the users."""
    found = console().get("users")
    rows = [
        (
            u["name"],
            u["role"],
            f"disabled {ago(u['disabled_ms'])}" if u["disabled_ms"] else "may log in",
            u["tokens"],
            ago(u["created_ms"]),
        )
        for u in found
    ]
    heads = ("user", "role", "state", "API tokens", "made")
    emit({"users": found}, as_json=as_json, text=table(heads, rows))


@users.command("add", epilog="Example: littoral fleet users add grace --role viewer")
@_NAME
@click.option(
    "--role",
    type=click.Choice(["viewer", "administrator"]),
    default="viewer",
    show_default=True,
    help="A viewer changes nothing.",
)
@JSON
def add(name: str, *, role: str, as_json: bool) -> None:
    """Make USER, with a password that is asked for."""
    body = {"username": name, "password": _new_password(name), "role": role}
    made = console().post("users", body)
    emit(made, as_json=as_json, text=f"{made['username']}: may log in as {made['role']}")


@users.command("password", epilog="Example: littoral fleet users password grace")
@click.argument("name", metavar="[USER]", required=False)
@JSON
def password(name: str | None, *, as_json: bool) -> None:
    """Give USER another password, or yourself; API tokens go on, sessions in browsers end."""
    asked = console()
    if name is None:
        current = _secret("LITTORAL_PASSWORD", "Password that you have now", twice=False)
        name = str(asked.get("me")["username"])
        asked.post("me/password", {"current": current, "password": _new_password(name)})
    else:
        asked.post(f"users/{quote(name, safe='')}/password", {"password": _new_password(name)})
    emit({"username": name}, as_json=as_json, text=f"{name}: has another password")


@users.command("disable", epilog="Example: littoral fleet users disable grace")
@_NAME
@JSON
def disable(name: str, *, as_json: bool) -> None:
    """Let USER do nothing any more, by no login, session or API token."""
    console().post(f"users/{quote(name, safe='')}/disable")
    emit({"username": name, "disabled": True}, as_json=as_json, text=f"{name}: disabled")


@users.command("enable", epilog="Example: littoral fleet users enable grace")
@_NAME
@JSON
def enable(name: str, *, as_json: bool) -> None:
    """Let USER in again."""
    console().post(f"users/{quote(name, safe='')}/enable")
    emit({"username": name, "disabled": False}, as_json=as_json, text=f"{name}: may log in again")


@click.group(
    "api-tokens", cls=Group, epilog="Example: littoral fleet api-tokens new nightly --days 90"
)
def api_tokens() -> None:
    """Let programs in: tokens that ask in your name."""


@api_tokens.command("list", epilog="Example: littoral fleet api-tokens list")
@JSON
def list_tokens(*, as_json: bool) -> None:
    """List your API tokens, or as an administrator everybody's; the secrets are not kept."""
    found = console().get("api-tokens")
    rows = [
        (t["id"], t["name"], t["user"], ago(t["created_ms"]), ago(t["used_ms"]), _ends(t))
        for t in found
    ]
    heads = ("token", "for", "of", "made", "last used", "ends")
    emit({"api_tokens": found}, as_json=as_json, text=table(heads, rows))


@api_tokens.command("new", epilog="Example: littoral fleet api-tokens new nightly --days 90")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it lives; else for ever.")
@JSON
def new_token(name: str, *, days: int | None, as_json: bool) -> None:
    """Print a token for 'Authorization: Bearer'; it is shown this once. NAME says what for."""
    lives_s = None if days is None else days * 24 * 3600
    found = console().post("api-tokens", {"name": name, "lives_s": lives_s})
    emit(found, as_json=as_json, text=found["token"])


@api_tokens.command("revoke", epilog="Example: littoral fleet api-tokens revoke 7")
@click.argument("token", type=click.IntRange(min=1))
@JSON
def revoke_token(token: int, *, as_json: bool) -> None:
    """Make a TOKEN worthless, by its number in the list."""
    found = console().post(f"api-tokens/{token}/revoke")
    emit(found, as_json=as_json, text=f"{token}: revoked")


def _ends(token: dict[str, int | None]) -> str:
    if token["revoked_ms"]:
        return f"revoked {ago(token['revoked_ms'])}"
    return "never" if token["expires_ms"] is None else ago(token["expires_ms"])


def _new_password(name: str) -> str:
    return _secret(NEW_PASSWORD, f"New password of {name}", twice=True)


def _secret(variable: str, question: str, *, twice: bool) -> str:
    found = os.environ.get(variable)
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise MisuseError(f"no terminal to ask for the password; set {variable}")
    return str(click.prompt(question, hide_input=True, confirmation_prompt=twice))
