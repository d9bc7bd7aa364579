"""What a settings file comes to: every problem at once, each with its line; every value that holds.

``littoral.settings`` refuses a file at the first thing that is wrong, as a program that starts
does. Here somebody looks on, and wants to mend all of it in one go.
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from littoral import records

_MAX_BYTES: Final = 1024 * 1024
_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong with a file, and where: ``line`` counts from 1."""

    error: str
    line: int | None = None
    setting: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A setting as it holds; ``line`` is where the file says so, None: it is the default."""

    setting: str
    value: Any
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """``file`` is None where there is none; ``shadowed`` is there, and not read because of it."""

    file: Path | None
    shadowed: Path | None = None
    problems: tuple[Problem, ...] = ()
    values: tuple[Value, ...] = ()


def choose(places: Sequence[Path]) -> tuple[Path | None, Path | None]:
    """Return which of ``places`` is read, and which is there in vain."""
    there = [place for place in places if place.is_file()]
    return there[0] if there else None, there[1] if len(there) > 1 else None


def examine(cls: type[Any], places: Sequence[Path]) -> Effective:
    """Return what the first of ``places`` that is there comes to, as a ``cls``.

    Every field of ``cls`` has a default.
    """
    file, shadowed = choose(places)
    text, problems = ("", ()) if file is None else _text(file)
    table, wrong = _table(text)
    problems += wrong
    if not problems:
        problems = tuple(_problems(cls, table, text))
    refused = {problem.setting for problem in problems}
    values = tuple(
        Value(
            setting=field.name,
            value=records.plain(table.get(field.name, _default(field))),
            line=_line(text, field.name) if field.name in table else None,
        )
        for field in dataclasses.fields(cls)
        if field.name not in refused
    )
    return Effective(file=file, shadowed=shadowed, problems=problems, values=values)


def _text(file: Path) -> tuple[str, tuple[Problem, ...]]:
    try:
        with file.open("rb") as f:
            data = f.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            return "", (Problem(error=f"expected at most {_MAX_BYTES} bytes, found more"),)
        return data.decode(), ()
    except OSError as e:
        return "", (Problem(error=str(e.strerror or e)),)
    except UnicodeDecodeError as e:
        line = e.object[: e.start].count(b"\n") + 1
        return "", (Problem(error=f"expected UTF-8, found {e.object[e.start]:#x}", line=line),)


def _table(text: str) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    try:
        return tomllib.loads(text), ()
    except tomllib.TOMLDecodeError as e:
        found = _AT_LINE.search(str(e))
        line = int(found[1]) if found else text.count("\n") + 1
        return {}, (Problem(error=f"expected TOML: {_AT_LINE.sub('', str(e))}", line=line),)
    except RecursionError:
        return {}, (Problem(error="expected TOML: lists in lists in lists, without end"),)


def _problems(cls: type[Any], table: dict[str, Any], text: str) -> Iterator[Problem]:
    found = False
    for name, value in table.items():
        try:
            records.fill(cls, {name: value})
        except records.RecordError as e:
            found = True
            yield Problem(error=str(e), line=_line(text, name), setting=name)
    if not found:  # each is right by itself: are they together?
        try:
            records.fill(cls, table)
        except records.RecordError as e:
            yield Problem(error=str(e))


def _line(text: str, name: str) -> int | None:
    """Return where ``name`` is set: as a key, or as a table's head."""
    key = rf"""["']?{re.escape(name)}["']?"""
    found = re.search(rf"^[ \t]*({key}[ \t]*[=.]|\[+[ \t]*{key}[ \t]*[\].])", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None


def _default(field: "dataclasses.Field[Any]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
