"""What ``littoral status`` prints: one screen. Values in, lines out.

Colours are there always: whoever echoes them drops them where there is no terminal.
"""

import base64
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import click

from littoral import waits
from littoral.commands.output import table
from littoral.errors import WaitingError
from littoral.sizes import mib, progress, size
from littoral.wire.board import Board, Reading
from littoral.wire.control import Serving
from littoral.wire.messages import Running
from littoral.wire.sketch import Sketch
from littoral_agent.state import Bounds, Found, Live
from littoral_agent.telemetry import Speed

_MODELS: Final = ("model", "state", "serves", "good", "candidate", "variant", "p50", "p95", "of")
_CLOCKS: Final = {
    "signed": "set right by the console",
    "system": "the system's, not confirmed by the console",
    "floor-only": "a lower bound; nobody has told the time",
}
_AGES: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_MS_IN_US: Final = 1000


def lines(found: Found, *, now_s: float | None = None) -> Iterator[str]:
    """Walk the lines, the most important first."""
    now_s = time.time() if now_s is None else now_s
    for name, value in _rows(found, now_s):
        yield f"{click.style(f'{name:9}', dim=True)} {value}"
    for model in found.unreadable:
        yield _bad(f"{model}: its journal cannot be read; the agent proves the model again")
    if found.models:
        yield ""
        yield table(_MODELS, list(_models(found, now_s)))
    for model, why in sorted(found.refused.items()):
        yield _bad(f"{model}: release {why.release} does not run here: {why.detail} [{why.code}]")


def _rows(found: Found, now_s: float) -> Iterator[tuple[str, str]]:
    who, agent = found.enrolment, found.agent
    if who is None:
        waits = agent is not None and agent.code == WaitingError.code
        do = "" if waits else "; run 'littoral enroll URL --token T'"
        yield "device", _odd("not enrolled yet" if waits else "not enrolled") + do
    else:
        yield "device", f"{click.style(who.device, bold=True)}, incarnation {who.incarnation}"
        yield "fleet", who.fleet
        yield "console", f"{who.url}, {_connection(agent, now_s)}"
    if agent is not None and agent.code is not None:
        yield "", _bad(f"{agent.words} [{agent.code}]")
    if found.certificate_until is not None:
        yield "key", f"certificate until {found.certificate_until[:10]}"
    yield "agent", _bad("down") if agent is None else f"process {agent.pid}"
    yield "serve", _serve(found.serve)
    yield "document", f"version {found.director}" if found.director else "none yet"
    if agent is not None:
        yield "clock", _CLOCKS.get(agent.clock, agent.clock)
        if who is not None:
            yield "waits", _waiting(agent.waiting)
            if bounds := ", ".join(_bounds(agent.bounds)):
                yield "files", bounds
        if agent.board is not None:
            yield from _board(agent.board)


def _connection(agent: Live | None, now_s: float) -> str:
    if agent is None or agent.channel is None:
        return _odd("nobody speaks with it")
    since = f", since {_long(now_s - agent.since_ms / 1000)}" if agent.since_ms else ""
    state = _good("connected") if agent.up else _bad("not connected")
    return f"{state} by {agent.channel}{since}"


def _serve(serving: Serving | None) -> str:
    return f"on {serving.http}, process {serving.pid}" if serving else _bad("down")


def _waiting(kinds: Mapping[str, int]) -> str:
    parts = [_many(kinds.get("report", 0), "report"), _many(kinds.get("telemetry", 0), "window")]
    return f"{' and '.join(parts)} for the console" if any(kinds.values()) else "nothing"


def _bounds(bounds: Bounds) -> Iterator[str]:
    if bounds.month_bytes:
        used, most = size(bounds.used_bytes), size(bounds.month_bytes)
        yield f"{used} of {most} used this month (of UTC)"
    if bounds.rate_bytes_per_s:
        yield f"at most {size(round(bounds.rate_bytes_per_s))} a second"


def _board(board: Board) -> Iterator[tuple[str, str]]:
    parts = [board.model, *_figures(board, board.now or Reading())]
    yield "board", ", ".join(part for part in parts if part)
    if board.accelerators:
        yield "", ", ".join(board.accelerators)
    if board.alarms:
        yield "", _bad(f"{', '.join(board.alarms)} within the last hour")


def _figures(board: Board, now: Reading) -> Iterator[str]:
    if now.temperature_c is not None:
        yield f"{now.temperature_c:.0f} °C"
    if now.load is not None:
        yield f"load {now.load:.2f} on {_many(board.cores, 'core')}"
    if now.memory_free_mib is not None:
        yield f"memory {mib(now.memory_free_mib)} of {mib(board.memory_mib)} free"
    if now.disk_free_mib is not None:
        yield f"disk {mib(now.disk_free_mib)} free"
    if now.uptime_s is not None:
        yield f"up {_long(now.uptime_s)}"


def _state(m: Running, now_s: float) -> str:
    if m.waits is None:
        far = progress(m.done_bytes or 0, m.total_bytes) if m.total_bytes else ""
        return f"{m.state}, {far}" if far else m.state
    return f"{m.state}, {waits.words(m.waits, m.waits_until_ms, now_ms=round(now_s * 1000))}"


def _models(found: Found, now_s: float) -> Iterator[tuple[object, ...]]:
    told = {(s.model, s.release): s for s in (found.agent.speeds if found.agent else ())}
    since = {(s.model, s.release): s for s in _since_start(found.serve)}
    for m in found.models:
        named = (m.model, m.release or 0)
        speed, of = told.get(named), "the last window"
        if speed is None:
            speed, of = since.get(named), "all since it serves"
        yield (
            *(m.model, _state(m, now_s), m.release, m.good, m.candidate, m.variant),
            *((_us(speed.p50_us), _us(speed.p95_us), of) if speed else (None, None, "no requests")),
        )


def _since_start(serving: Serving | None) -> Iterable[Speed]:
    """Walk how fast each model was since it was switched in, as serve says it."""
    for one in serving.models if serving else ():
        try:
            sketch = Sketch.decode(base64.b64decode(one.invoke))
        except ValueError:
            continue
        if sketch.count:
            yield Speed(
                model=one.model,
                release=one.release,
                count=sketch.count,
                p50_us=sketch.quantile(0.5),
                p95_us=sketch.quantile(0.95),
            )


def _long(seconds: float) -> str:
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def _us(value: float) -> str:
    return f"{value:.0f} µs" if value < _MS_IN_US else f"{value / _MS_IN_US:.3g} ms"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _good(words: str) -> str:
    return click.style(words, fg="green")


def _odd(words: str) -> str:
    return click.style(words, fg="yellow")


def _bad(words: str) -> str:
    return click.style(words, fg="red")
