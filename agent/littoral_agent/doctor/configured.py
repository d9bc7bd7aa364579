"""Both programs' settings as they hold here. Serve's are its own: a child judges them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from littoral import records
from littoral.effective import Effective, Problem, Value, examine
from littoral.errors import BackendError, MisuseError, SettingsError
from littoral.tree import Tree
from littoral_agent import child, settings

Program = Literal["agent", "serve"]
_FILES: Final = frozenset({"proxy_secret", "sources_ca"})
_WITHIN_S: Final = 20.0
_MAX_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One program's settings, and what they come to."""

    program: Program
    found: Effective

    @property
    def ok(self) -> bool:
        return not self.found.problems


def of_device(tree: Tree) -> tuple[Checked, Checked]:
    """Return what agent and serve go by on this device's folder. Raises BackendError."""
    return _agents(*settings.places(tree)), _serves(tree.root)


def of_file(file: Path) -> Checked:
    """Return what ``file`` comes to, for the program whose name it bears.

    Raises:
        SettingsError: It is not there.
        MisuseError: It bears none.
        BackendError: Serve is not installed, or cannot say.

    """
    if not file.is_file():
        raise SettingsError(f"{file}: no such file")
    match file.name:
        case "agent.toml":
            return _agents(file)
        case "serve.toml":
            return _serves(None, file)
        case _:
            raise MisuseError(f"{file}: expected a file named agent.toml or serve.toml")


def _agents(*places: Path) -> Checked:
    found = examine(settings.Settings, places)
    return Checked(
        program="agent", found=replace(found, problems=(*found.problems, *_missing(found.values)))
    )


def _missing(values: Iterable[Value]) -> Iterator[Problem]:
    """Walk the files that the settings name, and that are not on this machine."""
    for one in values:
        if one.setting in _FILES and one.value and not Path(one.value).is_file():
            error = f"'{one.setting}': there is no file {one.value} on this machine"
            yield Problem(error=error, line=one.line, setting=one.setting)


def _serves(data: Path | None, *file: Path) -> Checked:
    words = (str(data or ""), *map(str, file))
    end = child.python("littoral_serve.effective", *words, within_s=_WITHIN_S)
    if end.status != 0:
        raise BackendError(
            f"serve.toml: serve cannot say what it makes of it: {end.how}: {end.last}; "
            "run: littoral doctor"
        )
    found = records.from_json(Effective, end.out, limit=_MAX_BYTES)
    return Checked(program="serve", found=found)
