"""Releases through bad networks: both programs, console and broker real, and a line of ours.

Each cell is a device of its own, which runs release 1. A new release of some megabytes is wanted,
and there is trouble. It has to come to what its cell says; and whatever it is, the device goes on
answering rightly, no report and no sample is lost or counted twice, and each byte comes once.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final

from faults import network_ledger
from faults.memory import in_memory
from faults.network_cells import ARRIVES, CELLS, WAITS, Cell, Way
from faults.network_device import Scene
from faults.network_places import DEVICES
from faults.network_scene import FIRST, NEW, Stage
from faults.tally import Tally
from littoral.errors import LittoralError
from littoral_console.broker import program

# What may come beside files: metadata, the manifest, the time, the console's word over HTTPS.
BESIDE_BYTES: Final = 100_000
FRAMING: Final = 0.02  # of TLS and MQTT, around files
# A handshake, and what is lost when a connection is cut: what was not whole yet of records of TLS
# or of blocks. Over the broker what was asked for comes in any case: that of an outage comes twice.
CONNECTION_BYTES: Final[dict[Way, int]] = {"https": 4_000 + 16_384, "mqtt": 6_000 + 2 * 32_768}
OUTAGE_BYTES: Final[dict[Way, int]] = {"https": 0, "mqtt": 2**20}
_STEPS: Final = ["desired", "fetched", "passed", "healthy"]
_BESIDE: Final = frozenset({"refused", "postponed", "stumbled"})


@dataclass(slots=True)
class Figures:
    """What was seen of one cell."""

    seconds: float = 0.0
    bytes: int = 0  # of files
    came: int = 0  # on the line, each once
    connections: int = 0
    reports: int = 0
    windows: int = 0
    asked: int = 0
    refused: tuple[str, ...] = ()


def missing() -> str:
    """Return why bad networks cannot be made here; nothing: they can."""
    if os.geteuid() != 0:
        return "only root may make a network"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    if program() is None:
        return "mosquitto is not installed"
    for name in ("ip", "unshare", "cc"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    return ""


def all_of(*, runs: int | None = None) -> Iterator[Tally]:
    """Suffer every cell, or so many of them."""
    with stage() as here:
        yield from run(here, CELLS[:runs])


def run(stage: Stage, cells: Sequence[Cell] = CELLS) -> Iterator[Tally]:
    """Suffer ``cells``; yield what was found so far after each."""
    tally = Tally()
    for number, cell in enumerate(cells):
        figures, wrong = suffer(stage, cell, name=f"cell-{number}")
        tally.points[str(cell)] += 1
        tally.figures[str(cell)] = asdict(figures)
        tally.count[cell.trouble.comes_to] += 1
        tally.count["reports"] += figures.reports
        tally.count["windows"] += figures.windows
        tally.count["answers"] += figures.asked
        tally.blame(cell, wrong)
        yield tally


@contextmanager
def stage() -> Iterator[Stage]:
    """Set the stage, in memory: what is waited for is the line, and not a disk."""
    with in_memory("network") as folder, Stage(folder) as found:
        yield found


def suffer(
    stage: Stage, cell: Cell, *, name: str, broken: str | None = None
) -> tuple[Figures, list[str]]:
    """Let a device suffer one cell; return what was seen of it, and what is wrong."""
    figures, begun = Figures(), time.monotonic()
    with stage.device(name, cell.board(broken)) as scene:
        wrong: list[str] = []
        try:
            wrong += _live(scene, cell)
        except (TimeoutError, LittoralError) as e:
            wrong.append(f"stuck: {e}; told {sorted(scene.codes())}")
        wrong += _judge(scene, cell, figures)
        if wrong:
            wrong[-1] += f"\n{scene.ashore.log[-6000:]}"
    figures.seconds = round(time.monotonic() - begun, 1)
    return figures, wrong


def _live(scene: Scene, cell: Cell) -> Iterator[str]:
    """Do what the cell says; yield what is wrong meanwhile."""
    trouble, line = cell.trouble, scene.stage.line
    scene.begin()
    if cell.way == "mqtt":
        line.weather = replace(line.weather, shut=frozenset({DEVICES}))
        line.cut(DEVICES)
    if trouble.at:
        scene.push()
        scene.wait(lambda: scene.come >= trouble.at, f"{trouble.at:.0%} of it are here")
    with trouble.do(scene):
        if not trouble.at:
            scene.push()
        yield from _endure(scene, cell)
    if not scene.arrived:
        scene.wait(lambda: scene.arrived, "it arrives, all being well", limit_s=trouble.limit_s)
    told = scene.said
    scene.wait(lambda: scene.heard(told), "its console has heard all", limit_s=trouble.limit_s)
    yield from network_ledger.compare(told, scene.stage.console.data, scene.name)


def _endure(scene: Scene, cell: Cell) -> Iterator[str]:
    """Be in trouble, for as long as it lasts."""
    trouble = cell.trouble
    if trouble.comes_to == ARRIVES:
        scene.wait(lambda: scene.arrived, "it arrives in trouble", limit_s=trouble.limit_s)
        until = scene.said.windows + trouble.windows
        scene.wait(lambda: scene.said.windows >= until, "windows of telemetry pass")
        return
    end = time.monotonic() + trouble.lasts_s
    while time.monotonic() < end and scene.ashore.runs("agent"):
        if scene.arrived:
            yield f"code: it arrived, in trouble that comes to {trouble.comes_to}"
            return
        if trouble.comes_to != WAITS and trouble.comes_to in scene.told:
            return
        time.sleep(0.1)
    if trouble.comes_to != WAITS:
        yield f"code: {trouble.comes_to} was not said within {trouble.lasts_s:.0f} s"


def _judge(scene: Scene, cell: Cell, figures: Figures) -> Iterator[str]:
    """Say what is wrong when all is over."""
    comes_to = cell.trouble.comes_to
    expected = set() if comes_to in {ARRIVES, WAITS} else {comes_to}
    codes = scene.codes()
    if codes != expected:
        yield f"code: the console was told {sorted(codes)}; expected {sorted(expected)}"
    figures.refused = tuple(sorted(codes))
    steps = [one["event"] for one in scene.events() if one["event"] not in _BESIDE]
    if steps != _STEPS:
        yield f"steps: the console was told {steps}"
    said = scene.said
    figures.reports, figures.windows = len(said.reports), said.windows
    yield from _bytes(scene, cell, figures)
    yield from _answers(scene, figures)


def _bytes(scene: Scene, cell: Cell, figures: Figures) -> Iterator[str]:
    """Count what came: each byte of a file once, and little beside."""
    came = scene.came(cell.port(scene))
    figures.bytes, figures.came, figures.connections = scene.bytes, came.bytes, came.connections
    most = scene.bytes * (1 + FRAMING) + BESIDE_BYTES + OUTAGE_BYTES[cell.way]
    most += (1 + came.connections) * CONNECTION_BYTES[cell.way]
    if came.bytes > most:
        yield (
            f"twice: {came.bytes} bytes came over {came.connections} new connections for "
            f"{scene.bytes} of files; expected at most {most:.0f}"
        )


def _answers(scene: Scene, figures: Figures) -> Iterator[str]:
    """Look at what serve said all the while."""
    asked = scene.asked
    figures.asked = len(asked)
    first = next((n for n, one in enumerate(asked) if one.answer == FIRST), len(asked))
    if not asked[first:]:
        yield "outputs: nobody was ever answered"
    wrong = {str(one.answer) for one in asked[first:] if one.answer not in {FIRST, NEW}}
    yield from (f"outputs: {one}" for one in sorted(wrong)[:3])
    new = next((n for n, one in enumerate(asked) if one.answer == NEW), len(asked))
    if any(one.answer == FIRST for one in asked[new:]):
        yield "outputs: the release before answered after the new one"
