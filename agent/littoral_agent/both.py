"""What ``littoral run`` keeps going: serve and agent on one folder, and when both are ready.

What would be wrong at every start is said once, here, before the first: a folder that nobody
may write to, an address that is none, or another program's.
"""

import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from littoral import addresses, durable, records
from littoral.errors import MisuseError, StorageError
from littoral.tree import Tree
from littoral_agent.supervise import Program, check_free

HTTP: Final = "127.0.0.1:8501"  # where serve listens if nobody says
_MAX_LINE: Final = 64 * 1024


def programs(data: Path, http: str | None, *, tell: bool = False) -> tuple[Program, Program]:
    """Return the two; ``tell`` lets each say in a line of JSON that it is ready."""
    words = (sys.executable, "-m")
    folder = ("--data", str(data), *(("--json",) if tell else ()))
    listen = ("--http", http) if http is not None else ()
    return (
        Program("serve", (*words, "littoral_serve", *folder, *listen)),
        Program("agent", (*words, "littoral_agent", *folder)),
    )


def check(tree: Tree, http: str | None) -> None:
    """Check what both need of the machine.

    Raises:
        MisuseError: ``http``, else what serve.toml says, is no address.
        PortInUseError: Another program listens there.
        StorageError: The folder cannot be made, or may not be written to.

    """
    check_address("--http", http or HTTP)
    _check_folder(tree)
    check_free(http or _serves_own_address(tree))


def check_address(setting: str, where: str) -> None:
    try:
        addresses.split(where)
    except ValueError as e:
        raise MisuseError(f"{setting}: {e}") from e


@dataclass(slots=True)
class Readiness:
    """Hears what the programs say, and tells once, when all ``waiting`` are ready."""

    data: Path
    tell: Callable[[dict[str, object]], None]
    waiting: set[str] = field(default_factory=lambda: {"serve", "agent"})
    _told: dict[str, Any] = field(default_factory=dict)

    def hear(self, name: str, line: str) -> bool:
        """Take a program's line; return whether it was for us, and for nobody's eyes."""
        if not line.startswith('{"'):
            return False
        try:
            said = records.parse_json(line.encode(), limit=_MAX_LINE)
        except records.RecordError:
            return False
        if said.get("ready") is not True:
            return False
        if name in self.waiting:
            self.waiting.discard(name)
            self._told |= {name: said}
            if not self.waiting:
                self._say()
        return True

    def _say(self) -> None:
        serve = self._told["serve"]
        known = {"http": serve.get("http"), "models": serve.get("models", {})}
        self.tell({"ready": True, "pid": os.getpid(), "data": str(self.data), **known})


def _check_folder(tree: Tree) -> None:
    try:
        with durable.storage_errors(tree.root):
            tree.make()
    except StorageError as e:
        raise StorageError(f"{e}; run this as who may write there, or name another --data") from e
    for folder in (tree.root, tree.sockets, tree.journals, tree.trust, tree.blobs):
        # Not tried with a file: a disk that is merely full holds up nothing that serves.
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StorageError(
                f"{folder}: expected a folder that user {os.geteuid()} may write to, found one "
                "that is not; run this as its owner, or name another --data"
            )


def _serves_own_address(tree: Tree) -> str:
    """Return where serve will listen by its own settings, which are its own to judge."""
    try:
        found = tomllib.loads((tree.root / "serve.toml").read_text()).get("http")
    except (OSError, ValueError):
        return HTTP
    if not isinstance(found, str):
        return HTTP
    check_address("serve.toml: http", found)
    return found
