"""Bad networks as data: what happens, when, for how long, and what has to come of it.

A cell is one trouble by one way in. docs/faults.md draws the table from here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from faults.line import Weather
from faults.network_device import Scene
from faults.network_places import DEVICES
from faults.network_scene import FAIR, Board

Way = Literal["https", "mqtt"]
WAYS: Final[tuple[Way, ...]] = ("https", "mqtt")
DNS: Final = 53
YEAR_S: Final = 365 * 24 * 3600
ARRIVES: Final = "arrives"  # whatever lasts
WAITS: Final = "waits"  # and arrives when it is well again; nobody calls it an attack

Do = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One bad network, or what else stands in the way of a release."""

    words: str  # for docs/faults.md
    do: Do
    comes_to: str  # ARRIVES, WAITS, or the code of the refusal that has to be told
    at: float = 0.0  # the share of the download that is here when it begins
    lasts_s: float = 10.0  # unless it ARRIVES: until that
    limit_s: float = 90.0  # until it has arrived: in trouble, or when it is well again
    channel: str = "auto"
    disk_bytes: int = 0
    ahead_s: int = 0
    windows: int = 0  # of telemetry that have to pass meanwhile
    more: str = ""  # settings
    ways: tuple[Way, ...] = WAYS


def weather(change: Weather, *, cut: bool = False) -> Do:
    """Let the line be so; with ``cut``, connections that stand do not outlive the change."""

    @contextmanager
    def do(scene: Scene) -> Iterator[None]:
        line = scene.stage.line
        before = line.weather
        line.weather = replace(change, shut=change.shut | before.shut)
        if cut:
            line.cut()
        yield
        line.weather = before

    return do


@contextmanager
def console_gone(scene: Scene) -> Iterator[None]:
    """Kill the console, and its broker with it."""
    scene.stage.console.kill()
    try:
        yield
    finally:
        scene.stage.console.start()


@contextmanager
def console_killed(scene: Scene) -> Iterator[None]:
    """Kill the console, and start it at once."""
    scene.stage.console.kill()
    scene.stage.console.start()
    yield


@contextmanager
def broker_gone(scene: Scene) -> Iterator[None]:
    """Kill the broker; nothing reaches the next one, for the device's side has lost the way."""
    line = scene.stage.line
    before = line.weather
    line.weather = replace(before, shut=before.shut | {scene.stage.broker})
    line.cut(scene.stage.broker)
    scene.stage.console.kill_broker()
    yield
    line.weather = before


@contextmanager
def disk_filled(scene: Scene, *, leave: float) -> Iterator[None]:
    """Fill the device's disk until a share of it is left; free it afterwards."""
    disk = os.statvfs(scene.tree.root)
    left = int(disk.f_blocks * disk.f_frsize * leave)
    filler = scene.tree.root / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while os.statvfs(scene.tree.root).f_bavail * disk.f_frsize > left:
            file.write(bytes(disk.f_frsize))
            file.flush()
    yield
    filler.unlink()


@contextmanager
def nothing(_: Scene) -> Iterator[None]:
    """Whatever it is, it was there from the beginning."""
    yield


TROUBLES: Final[dict[str, Trouble]] = {
    "slow": Trouble(
        words="1 byte a second, from a tenth of the download on",
        do=weather(replace(FAIR, drip_bytes_per_s=1)),
        comes_to="slow",
        at=0.1,
        lasts_s=100.0,
    ),
    "cut": Trouble(
        words="each connection is reset after 100 kB",
        do=weather(replace(FAIR, cut_after=100_000)),
        comes_to=ARRIVES,
        limit_s=240,
    ),
    "cut silently": Trouble(
        words="the first connection goes dead in the middle, without a word",
        do=weather(replace(FAIR, cut_after=2_500_000, silently=True)),
        comes_to=ARRIVES,
        limit_s=240,
    ),
    "loss": Trouble(
        words="30 % of all packets are lost, each way",
        do=weather(replace(FAIR, loss=0.3)),
        comes_to=ARRIVES,
        limit_s=600,
    ),
    "latency": Trouble(
        words="2 s each way",
        do=weather(replace(FAIR, delay_s=2.0), cut=True),
        comes_to=ARRIVES,
        limit_s=400,
    ),
    "portal": Trouble(
        words="a captive portal answers everything: its page, or TLS by a stranger's certificate",
        do=weather(replace(FAIR, portal=True)),
        comes_to=WAITS,
        at=0.3,
    ),
    "names": Trouble(
        words="DNS is gone, and connections with it",
        do=weather(replace(FAIR, shut=frozenset({DNS})), cut=True),
        comes_to=WAITS,
        at=0.3,
        lasts_s=20.0,
    ),
    "down": Trouble(
        words="nothing gets through at all",
        do=weather(replace(FAIR, down=True)),
        comes_to=WAITS,
        at=0.3,
    ),
    "broker": Trouble(
        words="the broker is gone for 100 windows of telemetry, and the channel has no other way",
        do=broker_gone,
        comes_to=ARRIVES,
        at=0.05,
        windows=100,
        channel="mqtt",
        ways=("https",),
    ),
    "broker, then https": Trouble(
        words="the broker is gone, and the channel goes over HTTPS",
        do=broker_gone,
        comes_to=ARRIVES,
        ways=("https",),
    ),
    "broker, in the middle": Trouble(
        words="the broker is gone in the middle of the download",
        do=broker_gone,
        comes_to=WAITS,
        at=0.3,
        ways=("mqtt",),
    ),
    "console": Trouble(
        words="the console is gone, and its broker with it",
        do=console_gone,
        comes_to=WAITS,
        at=0.3,
    ),
    "killed": Trouble(
        words="the console is killed in the middle of the download, and comes back",
        do=console_killed,
        comes_to=ARRIVES,
        at=0.5,
    ),
    "disk": Trouble(
        words="the disk is full to 90 %, and what is left is too little",
        do=lambda scene: disk_filled(scene, leave=0.1),
        comes_to="disk-full",
        disk_bytes=40_000_000,
        lasts_s=5.0,
    ),
    "disk, in the middle": Trouble(
        words="the disk is full when half of the download is here; not even a refusal fits",
        do=lambda scene: disk_filled(scene, leave=0.0),
        comes_to=WAITS,
        at=0.5,
        disk_bytes=40_000_000,
    ),
    "clock, behind": Trouble(
        words="the device's clock is ten years behind",
        do=nothing,
        comes_to=ARRIVES,
        ahead_s=-10 * YEAR_S,
    ),
    "clock, ahead": Trouble(
        words="the device's clock is ten years ahead",
        do=nothing,
        comes_to=ARRIVES,
        ahead_s=10 * YEAR_S,
    ),
}
_SETTINGS: Final = """
hardware = ["cpu-x86_64"]
channel = "{channel}"
sources = ["{way}"]
keep = 0
probation_s = 0.3
serve_poll_s = 0.1
fallback_after_s = 2.0
telemetry_window_s = 0.5
telemetry_probation_window_s = 0.5
poll_every_s = 2.0
retry_first_s = 0.1
retry_most_s = 3.0
denied_retry_s = 1.0
refused_retry_s = 3.0
disk_reserve_bytes = 0
{more}
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One trouble, by one way in."""

    name: str
    way: Way

    @property
    def trouble(self) -> Trouble:
        return TROUBLES[self.name]

    def port(self, scene: Scene) -> int:
        """Return from which port of the console the bytes of files come."""
        return DEVICES if self.way == "https" else scene.stage.broker

    def board(self, broken: str | None = None) -> Board:
        one = self.trouble
        channel = "mqtt" if self.way == "mqtt" else one.channel
        return Board(
            settings=_SETTINGS.format(channel=channel, way=self.way, more=one.more),
            ahead_s=one.ahead_s,
            disk_bytes=one.disk_bytes,
            broken=broken,
        )

    def __str__(self) -> str:
        return f"{self.name}, {self.way}"


CELLS: Final = tuple(Cell(name, way) for name, one in TROUBLES.items() for way in one.ways)
