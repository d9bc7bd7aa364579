"""How a command prints: a JSON object for programs, or lines and tables for people."""

from collections.abc import Sequence
from typing import Any

import click

from littoral import records


def emit(value: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print ``value`` as one JSON object, or ``text``."""
    click.echo(records.to_json(value).decode() if as_json else text)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return ``rows`` in columns under ``heads``."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
