"""What the commands of ``littoral fleet`` share: whom they ask, and the words they all take."""

from collections.abc import Sequence
from typing import Final

import click

from littoral.errors import MisuseError
from littoral_console.client import Console, read_login

TO: Final = click.option(
    "--to", default="all", show_default=True, help="all, a device, or a selector."
)
LIMIT: Final = click.option("--limit", default=50, show_default=True, help="At most so many.")


def console() -> Console:
    """Return the console that the last login named."""
    login = read_login()
    return Console(login.url, token=login.token, ca=login.ca)


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE words."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise MisuseError(f"expected NAME=VALUE, found {word!r}")
        found[name] = value
    return found
