"""``littoral fleet telemetry --board``, and the board of one device: how boards are, in text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from littoral import records
from littoral.wire.board import Board, BoardWindow
from littoral_console.figures import many
from littoral_console.health import facts, said
from littoral_console.show import ago, table

HEADS: Final = ("device", "until", "°C", "throttled", "load", "memory free", "disk free", "up for")


def lines(detail: Mapping[str, Any]) -> Iterator[str]:
    """Walk what is known of the board in a device's detail: nothing, if nothing is."""
    board = _board(detail["device"]["board"])
    window = _window(detail["board"])
    if board is not None and board.model:
        yield f"board: {board.model}"
    for fact in facts(board, window):
        yield f"  {fact.name.lower()}: {fact.value} {fact.note}".rstrip()
    if board is None:
        return
    for name in board.accelerators:
        yield f"  accelerator: {name}"
    for name, version in sorted(board.runtimes.items()):
        yield f"  {name}: {version}"
    for symptom in said(board.alarms):
        yield f"  {symptom.text} within the last hour: {symptom.meaning}"


def summary(points: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of all windows, a line each."""
    return table(HEADS, [_row(point) for point in points])


def _row(point: Mapping[str, Any]) -> Sequence[str]:
    window = _window(point) or BoardWindow(samples=1)
    told = {fact.name: fact.value for fact in facts(None, window)}
    warm, slow = window.temperature_c, window.throttled
    weak = f", {window.under_voltage} short of power" if window.under_voltage else ""
    return (
        point["device"],
        ago(point["ends_ms"]),
        "-" if warm is None else f"{warm.low:.0f} … {warm.mean:.0f} … {warm.high:.0f}",
        f"{slow} of {many(window.samples, 'reading')}{weak}",
        *(told.get(name, "-") for name in ("Load", "Memory free", "Disk free", "Running for")),
    )


def _board(kept: object) -> Board | None:
    return None if kept is None else records.fill(Board, kept)


def _window(point: Mapping[str, Any] | None) -> BoardWindow | None:
    return None if point is None else records.fill(BoardWindow, point["window"])
