"""How boards are: the windows that devices told, each or merged over steps of time."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from littoral.wire.board import SPREADS, BoardWindow, Spread
from littoral_console import tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardPoint:
    """How a device's board was in the time that ends at ``ends_ms``."""

    device: str
    ends_ms: int
    window: BoardWindow


def board_windows(
    connection: Connection,
    *,
    since_ms: int,
    step_ms: int = 0,
    devices: Collection[str] | None = None,
) -> tuple[BoardPoint, ...]:
    """Return the windows that ended since then, in order of device and time.

    Those that end within one step of time are merged; None takes all devices.
    """
    c = t.board_windows.c
    found = (
        select(c.device, c.ends_ms, c.figures)
        .where(c.ends_ms >= since_ms)
        .order_by(c.device, c.ends_ms)
    )
    if devices is not None:
        found = found.where(c.device.in_(devices))
    groups: dict[tuple[str, int], list[tuple[int, BoardWindow]]] = {}
    for device, ends_ms, figures in connection.execute(found):
        step = ends_ms // step_ms if step_ms else ends_ms
        groups.setdefault((device, step), []).append((ends_ms, BoardWindow.decode(figures)))
    return tuple(
        BoardPoint(device=device, ends_ms=group[-1][0], window=merged([w for _, w in group]))
        for (device, _), group in groups.items()
    )


def newest_boards(connection: Connection, devices: Collection[str]) -> dict[str, BoardPoint]:
    """Return by device the last window that it told."""
    c = t.board_windows.c
    last = (
        select(c.device, func.max(c.ends_ms).label("ends_ms"))
        .where(c.device.in_(devices))
        .group_by(c.device)
        .subquery()
    )
    rows = connection.execute(
        select(c.device, c.ends_ms, c.figures).join(
            last, (last.c.device == c.device) & (last.c.ends_ms == c.ends_ms)
        )
    )
    return {
        device: BoardPoint(device=device, ends_ms=ends_ms, window=BoardWindow.decode(figures))
        for device, ends_ms, figures in rows
    }


def merged(windows: Collection[BoardWindow]) -> BoardWindow:
    """Return what ``windows``, at least one and in order of time, come to."""
    *_, last = windows
    disk = [w.disk_free_mib for w in windows if w.disk_free_mib is not None]
    spreads = {one.name: _spread(windows, one.name) for one in SPREADS}
    return BoardWindow(
        samples=sum(w.samples for w in windows),
        throttled=sum(w.throttled for w in windows),
        under_voltage=sum(w.under_voltage for w in windows),
        disk_free_mib=min(disk, default=None),
        uptime_s=last.uptime_s,
        **spreads,
    )


def _spread(windows: Collection[BoardWindow], name: str) -> Spread | None:
    """Return the spread over all readings: a window weighs as many as it has."""
    found = [(w.samples, s) for w in windows if (s := getattr(w, name)) is not None]
    if not found:
        return None
    return Spread(
        low=min(s.low for _, s in found),
        mean=round(sum(n * s.mean for n, s in found) / sum(n for n, _ in found), 2),
        high=max(s.high for _, s in found),
    )
