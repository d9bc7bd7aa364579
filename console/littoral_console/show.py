"""How the fleet's commands show things to people: tables as wide as the terminal, short times."""

import io
import os
import sys
import time
from collections.abc import Mapping, Sequence

from littoral_console import figures


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return ``rows`` as a table under ``heads``; cells are text, whatever they look like."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return "none"
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        shown.add_column(head, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(str(cell)) for cell in row))
    out = io.StringIO()
    colour = sys.stdout.isatty()
    Console(file=out, width=_width(), force_terminal=colour, no_color=not colour).print(shown)
    return out.getvalue().rstrip()


def ago(time_ms: int | None) -> str:
    """Return how long ago that was, or in how long it will be."""
    return "never" if time_ms is None else figures.age(time_ms, round(time.time() * 1000))


def labelled(labels: Mapping[str, str]) -> str:
    """Return a device's labels in words."""
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _width() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 160
