"""``littoral config`` and ``littoral doctor``: how what was found is told."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from littoral import records
from littoral.commands.output import JSON, Group, emit
from littoral.tree import Tree
from littoral_agent.commands import DATA

if TYPE_CHECKING:
    from littoral_agent.doctor.configured import Checked


@click.command(epilog="Example: sudo littoral doctor")
@DATA
@click.option("--all", "every", is_flag=True, help="Show what is well, too.")
@JSON
def doctor(data: Path, every: bool, as_json: bool) -> int:
    """Look for what goes wrong in the field, and say the command that mends it.

    Nothing is changed. With sudo it sees everything; exits with 1 if something fails.
    """
    from littoral_agent.doctor.checks import CHECKS
    from littoral_agent.doctor.examining import ask
    from littoral_agent.doctor.finding import Place
    from littoral_agent.doctor.telling import told, words

    asked = ask(CHECKS, Place(Tree(data.absolute())))
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    text = words(asked, every=every, colours=colours)
    emit(told(asked, data), as_json=as_json, text=text)
    return 1 if any(one.finding.state == "fail" for one in asked) else 0


@click.group(cls=Group, epilog="Example: littoral config check")
def config() -> None:
    """Look at the settings of this device."""


@config.command(epilog="Example: littoral config check agent.toml serve.toml")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@DATA
@click.option("--all", "every", is_flag=True, help="Show the settings that nobody changed, too.")
@JSON
def check(files: tuple[Path, ...], data: Path, every: bool, as_json: bool) -> int:
    """Say all that is wrong with agent.toml and serve.toml, and what holds in the end.

    Without FILE, those that the device in --data goes by; exits with 1 if anything is wrong.
    """
    from littoral_agent.doctor import configured

    found: Sequence[Checked]
    found = [configured.of_file(f) for f in files] or configured.of_device(Tree(data))
    ok = all(one.ok for one in found)
    plain = {"ok": ok, "programs": [_plain(one) for one in found]}
    emit(plain, as_json=as_json, text="\n\n".join("\n".join(_lines(one, every)) for one in found))
    return 0 if ok else 1


def _plain(one: "Checked") -> dict[str, object]:
    found = one.found
    values = [
        {"setting": v.setting, "value": v.value, "line": v.line, "default": v.line is None}
        for v in found.values
    ]
    return {
        "program": one.program,
        "file": found.file,
        "shadowed": found.shadowed,
        "problems": [records.plain(problem) for problem in found.problems],
        "values": values,
    }


def _lines(one: "Checked", every: bool) -> Iterator[str]:
    found = one.found
    yield f"{one.program}: {found.file or 'no file; every setting has its default'}"
    if found.shadowed:
        yield f"  {found.shadowed} is not read: the file above goes before it, as a whole"
    for problem in found.problems:
        where = f"line {problem.line}" if problem.line else "together"
        yield f"  wrong, {where}: {problem.error}"
    rest = 0
    for value in found.values:
        if value.line is None and not every:
            rest += 1
            continue
        where = f"line {value.line}" if value.line else "default"
        yield f"  {value.setting} = {_toml(value.value)}  ({where})"
    if rest:
        yield f"  {rest} settings have their defaults; --all shows them"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
