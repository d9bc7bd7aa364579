"""Where networks are bad: a real console and broker on one side, a real device on the other.

with Stage(folder) as stage:
    with stage.device("cut", SETTINGS) as scene:
        scene.begin()                       # release 1 is proven, and its console knows
        scene.push()                        # a new one of some megabytes
        stage.line.weather = Weather(down=True)

Whoever holds the stage is where the console is; what the device starts is on the other side.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self
from unittest.mock import patch

from faults import network_ledger
from faults.client import Client, predict
from faults.line import Weather
from faults.network_device import Ashore, Scene
from faults.network_places import CONSOLE, DEVICES, NAME, Places, places
from faults.network_shore import shores
from littoral.tree import Tree
from littoral_agent import hardware, identity
from littoral_agent.enroll import enroll
from simulators.console import ConsoleProcess
from simulators.repository import RepositorySimulator
from simulators.served import Device, model, serving

MODEL: Final = "digits"
FIRST: Final = 1  # the release with which each device begins
NEW: Final = 2  # any later one, as far as its outputs tell
PEOPLE: Final = 8080
BYTES: Final = 5_000_000
FAIR: Final = Weather(bytes_per_s=1_000_000, delay_s=0.005)  # a download takes some seconds
SERVE: Final = "window_s = 0.25\n"
_ASKED_EVERY_S: Final = 0.1
_MODELS: Final = {FIRST: "tiny_int8_b", NEW: "tiny_int8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What is peculiar to one device."""

    settings: str
    ahead_s: int = 0  # how wrong its clock is
    disk_bytes: int = 0  # 0: as large as the machine's
    broken: str | None = None  # a rule of faults.network_teeth that its agent breaks


@dataclass
class Stage:
    """What all devices share."""

    folder: Path
    size: int = BYTES  # of a release's model
    answers: dict[bytes, int] = field(default_factory=dict)
    _release: int = FIRST
    _undo: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.places: Places = undo.enter_context(places())
            self.line = self.places.line
            self.line.weather = FAIR
            undo.enter_context(self.places.console.inside())
            strangers = shores(self.places, self.folder / "hotel", secured=DEVICES, plain=PEOPLE)
            undo.enter_context(strangers)
            self.publisher = RepositorySimulator(self.folder / "publisher")
            self._press = Device(self.folder / "press")
            for release, name in _MODELS.items():
                self.answers[_answer(self.folder, name)] = release
            self._publish(FIRST, size=100_000)
            where = ("--http", f"127.0.0.1:{PEOPLE}", "--devices", f"{CONSOLE}:{DEVICES}")
            self.console = ConsoleProcess(
                self.folder, self.publisher, arguments=(*where, "--name", NAME)
            )
            undo.enter_context(self.console)
            self.console.upload()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def broker(self) -> int:
        """The broker's port."""
        return int(self.console.ready["broker"].rpartition(":")[2])

    def release(self) -> int:
        """Publish a new release, whose bytes nobody has; return its number."""
        self._release += 1
        self._publish(self._release, size=self.size)
        self.console.upload()
        return self._release

    @contextmanager
    def device(self, name: str, board: Board) -> Iterator[Scene]:
        """Enrol a device in fair weather; nobody is at work in it yet."""
        folder = self.folder / name
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, folder)
            tree = Tree(folder / "device")
            if board.disk_bytes:
                _mount(undo, tree.root, board.disk_bytes)
            tree.make()
            tree.settings.write_text(board.settings)
            (tree.root / "serve.toml").write_text(SERVE)
            (folder / "resolv.conf").write_text(f"nameserver {CONSOLE}\n")
            self.line.weather = FAIR
            self._enrol(name, tree)
            ashore = Ashore(tree, self.answers, broken=board.broken)
            ashore.client = Client(ashore.port, self.answers, every_s=_ASKED_EVERY_S)
            ashore.there = self.places.device
            if board.ahead_s:
                ashore.environment = _wrong_clock(self.folder, board.ahead_s)
            undo.callback(self._over, name)
            undo.callback(ashore.close)
            yield Scene(self, name, tree, ashore)

    def _over(self, name: str) -> None:
        """Let nothing of a device stay for the next one."""
        self.line.weather = FAIR
        self.line.cut()
        self.console.rest.post(f"devices/{name}/revoke")

    def _enrol(self, name: str, tree: Tree) -> None:
        """Enrol it by the console's address, and let it know that by its name from then on."""
        token = self.console.token()
        with self.places.device.inside(), patch.object(hardware, "serial", return_value=name):
            found = enroll(f"https://{CONSOLE}:{DEVICES}", token, tree, name=name)
        where: dict[str, Any] = {"url": f"https://{NAME}:{DEVICES}"}
        where["broker"] = f"{NAME}:{self.broker}"
        identity.of(tree).write(replace(found, serial="", **where))
        network_ledger.keep(tree, name, found.incarnation)

    def _publish(self, release: int, *, size: int) -> None:
        """Publish a small model, made long: what follows it is unread, and like no other's."""
        data = model(_MODELS[min(release, NEW)])
        noise = hashlib.shake_256(f"{self.folder} {release}".encode()).digest(size)
        made = self._press.add(MODEL, release=release, data=data + noise, golden_of=data)
        self.publisher.publish(self._press.bundle(made, self.folder / "made" / str(release)))


def _answer(folder: Path, name: str) -> bytes:
    """Ask a model for what it says, so that its answers are known again."""
    path = folder / f"{name}.tflite"
    path.write_bytes(model(name))
    with serving("--model", f"{MODEL}={path}") as serve:
        return predict(serve.address[1], MODEL)[1]


def _mount(undo: ExitStack, folder: Path, size: int) -> None:
    """Lay a file system of so many bytes there."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "littoral-test", str(folder)]
    subprocess.run(words, check=True, capture_output=True)
    undo.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)


def _wrong_clock(folder: Path, ahead_s: int) -> dict[str, str]:
    """Build what sets a program's clock; return with which environment it does."""
    library = folder / "clock.so"
    if not library.exists():
        source = Path(__file__).with_name("network_clock.c")
        words = ["cc", "-O1", "-shared", "-fPIC", "-Wall", "-o", str(library), str(source), "-ldl"]
        subprocess.run(words, check=True, capture_output=True)
    preloaded = os.environ.get("LD_PRELOAD", "")
    return {"LD_PRELOAD": f"{library} {preloaded}".strip(), "CLOCK_AHEAD_S": str(ahead_s)}
