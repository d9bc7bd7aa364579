"""What a check says: what it found, what is wrong with that, and the command that mends it."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from littoral.errors import SettingsError
from littoral.tree import Tree
from littoral_agent import settings
from littoral_agent.settings import Settings

State = Literal["ok", "warn", "fail", "skip"]
Group = Literal["software", "accelerators", "board", "identity", "network", "services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``warn`` is what will hurt some day or somewhere else, ``fail`` what hurts now."""

    state: State
    found: str
    wrong: str = ""
    do: str = ""  # a command, or where there is none a deed; lines where it takes several


@dataclass(frozen=True, slots=True)
class Place:
    """The machine that is looked at, and whose data folder; a test gives another root."""

    tree: Tree
    root: Path = field(default=Path("/"))

    @property
    def settings(self) -> Settings | None:
        """Return the agent's, None where they cannot be read: why not is told by its own check."""
        try:
            return settings.read(self.tree)
        except SettingsError:
            return None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: ``ask`` looks, changes nothing, and may take so long."""

    name: str
    group: Group
    words: str  # what it looks at, for docs/doctor.md
    ask: Callable[[Place], Finding]
    within_s: float = 20.0


def allowed(path: Path, mode: int = os.R_OK | os.X_OK) -> None:
    """Raise PermissionError when this user may not do ``mode`` with ``path``, which is there."""
    folder = path if path.is_dir() else path.parent
    if folder.is_dir() and not os.access(folder, os.X_OK):
        raise PermissionError(errno.EACCES, "not for this user", str(folder))
    if path.exists() and not os.access(path, mode):
        raise PermissionError(errno.EACCES, "not for this user", str(path))


def ok(found: str) -> Finding:
    return Finding(state="ok", found=found)


def warn(found: str, wrong: str, *, do: str) -> Finding:
    return Finding(state="warn", found=found, wrong=wrong, do=do)


def fail(found: str, wrong: str, *, do: str) -> Finding:
    return Finding(state="fail", found=found, wrong=wrong, do=do)


def skip(why: str) -> Finding:
    """Say that there is nothing to look at here, which is nobody's fault."""
    return Finding(state="skip", found=why)


def for_root(why: str) -> Finding:
    """Say that there may be something, which this user cannot see."""
    return Finding(state="skip", found=why, do="sudo littoral doctor")
