"""``littoral fleet login``: whom the other commands speak as, and to which console."""

import os
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click

from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError
from littoral_console.client import Console, Login, write_login


@click.command(epilog="Example: littoral fleet login http://127.0.0.1:8080 --username anna")
@click.argument("url")
@click.option("--code", help="The console's one-time code: makes the first administrator.")
@click.option("--username", default="admin", show_default=True, help="Who logs in.")
@click.option("--password", envvar="LITTORAL_PASSWORD", help="Asked for when not given.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True), help="PEM of its authority.")
@JSON
def login(
    url: str,
    *,
    code: str | None,
    username: str,
    password: str | None,
    ca: Path | None,
    as_json: bool,
) -> None:
    """Log in to the console at URL; the address with the code, as it prints it, will do."""
    parts = urlsplit(url)
    code = code or next(iter(parse_qs(parts.query).get("code", [])), None)
    base = f"{parts.scheme}://{parts.netloc}" if parts.scheme else f"http://{url}"
    if password is None:
        if not sys.stdin.isatty():
            raise MisuseError("no terminal to ask for the password; set LITTORAL_PASSWORD")
        password = click.prompt("Password", hide_input=True, confirmation_prompt=code is not None)
    authority = None if ca is None else ca.read_text()
    console = Console(base, ca=authority)
    body = {"username": username, "password": password}
    reply = (
        console.post("login", {**body, "purpose": f"{os.uname().nodename} command line"[:64]})
        if code is None
        else console.post("setup", {**body, "code": code})
    )
    kept = write_login(
        Login(url=base, token=reply["token"], username=reply["username"], ca=authority)
    )
    emit(
        {"url": base, "username": username, "file": str(kept)},
        as_json=as_json,
        text=f"logged in to {base} as {username}; kept in {kept}",
    )
