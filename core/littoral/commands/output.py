"""How a command of any room prints: a JSON object for programs, lines and tables for people."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

import click

from littoral import records

# Controls but the tab, the line's end, and what begins a colour.
_UNPRINTABLE: Final = re.compile(r"\x1b(?!\[[\d;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class Group(click.Group):
    """A group whose help says what each command does to the end; click's own cuts it short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help(one)) for name, one in found if one is not None])


def short_help(command: click.Command) -> str:
    """Return the first sentence of what ``command`` says of itself."""
    words = command.short_help or command.help or ""
    return " ".join(words.partition("\n\n")[0].split())


def emit(value: object, *, as_json: bool, text: str) -> None:
    """Print ``value`` as one JSON object, or ``text``. What is None is there, as null."""
    click.echo(records.to_json(_whole(value)).decode() if as_json else printable(text))


def printable(text: str) -> str:
    """Return ``text`` without what tells a terminal more than lines and colours.

    Names of operators, classes and files are in it, which come from anywhere.
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _whole(value: object) -> object:
    """Return ``value`` with every key that a program may rely on, also where it is None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _whole(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _whole(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(found) for found in value]
    return value


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return ``rows`` in columns under ``heads``; None is a dash."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
