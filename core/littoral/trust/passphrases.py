"""Where a passphrase or a PIN comes from: a file that the environment names, else a person.

What opened one key is tried on the next, while the command runs; it is kept nowhere else.
"""

import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from littoral.errors import MisuseError

PASSPHRASE_FILE: Final = "LITTORAL_PASSPHRASE_FILE"  # noqa: S105 (a name)
PIN_FILE: Final = "LITTORAL_PIN_FILE"
LEAST: Final = 12  # letters of a new passphrase
MOST_BYTES: Final = 1024
_TRIES: Final = 3

_held: dict[tuple[str, str], list[str]] = {}


def candidates(what: str, *, setting: str, of: str = "", tries: int = _TRIES) -> Iterator[str]:
    """Yield what may open ``what``: what opened another ``of`` the same kind, then what is said.

    The environment's ``setting`` may name a file that holds it; nobody is asked then.

    Raises:
        MisuseError: Nobody is there to be asked.

    """
    yield from tuple(_held.get((setting, of), ()))
    if (named := os.environ.get(setting)) is not None:
        yield from_file(Path(named))
        return
    for _ in range(tries):
        yield _ask(what, setting)


def opened(secret: str, *, setting: str, of: str = "") -> None:
    """Remember, while the command runs, that ``secret`` opened something."""
    held = _held.setdefault((setting, of), [])
    if secret not in held:
        held.append(secret)


def forget() -> None:
    """Remember nothing."""
    _held.clear()


def new(what: str) -> str:
    """Return a new passphrase for ``what``.

    Raises:
        MisuseError: It is too short, or was not said twice the same.

    """
    if (named := os.environ.get(PASSPHRASE_FILE)) is not None:
        found = from_file(Path(named))
    else:
        found = _ask(f"new passphrase for {what}", PASSPHRASE_FILE)
        if len(found) >= LEAST and _ask("the same once more", PASSPHRASE_FILE) != found:
            raise MisuseError("the passphrase was not said twice the same; nothing is changed")
    if len(found) < LEAST:
        raise MisuseError(
            f"expected a passphrase of {LEAST} letters or more, found {len(found)}; "
            "four words that nobody says in a row are easy to keep"
        )
    return found


def from_file(path: Path) -> str:
    """Return the first line of ``path``. Raises MisuseError."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as e:
        raise MisuseError(f"{path}: expected a file that holds a secret: {e}") from e


def _ask(what: str, setting: str) -> str:
    if not sys.stdin.isatty():
        raise MisuseError(
            f"{what}: a person at a terminal would be asked, and there is none; "
            f"name a file that holds it with {setting}"
        )
    return getpass.getpass(f"{what}: ")
