"""Where attacks happen: one real console, and for each attack a device, a publisher and a stick.

with Stage(folder) as stage:
    with stage.scene("image-https", source="https") as scene:
        scene.begin()                     # release 1 is proven, honestly
        scene.say(scene.document(2))      # as the director's word reaches this device
        scene.codes()                     # the reason codes that the console has of it

The agent has all its parts and threads, in this process or in one of its own (``apart``). Its
console is the real one, behind who listens in between; serve is simulated over its real socket.
"""

import hashlib
import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self
from unittest.mock import patch

from faults.hijack import Hijack, How
from littoral.errors import JournalError
from littoral.tree import Tree
from littoral.trust.beliefs import Assignment
from littoral.wire import journal
from littoral_agent import hardware, identity, origin
from littoral_agent import settings as configured
from littoral_agent.enroll import enroll
from littoral_agent.parts import Parts
from patience import patient
from simulators.console import ConsoleProcess
from simulators.fleet import AgentProcess
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

Source = Literal["https", "folder"]

MODEL: Final = "digits"
OTHER: Final = "tides"  # another model, to make a device look
HEALED: Final = 5  # the honest release by which an attack is over
LIMIT_S: Final = 30.0
SETTLE_S: Final = 0.4
SLOW_OVER_S: Final = 0.5  # instead of half a minute, where the agent is in this process
SETTINGS: Final = """
hardware = ["cpu-x86_64"]
channel = "https"
sources = ["{source}"]
probation_s = 0.0
serve_poll_s = 0.05
poll_every_s = 0.2
retry_first_s = 0.05
retry_most_s = 0.2
refused_retry_s = 3600.0
disk_reserve_bytes = 0
"""


class Stage:
    """What all attacks share: the console, and the keys of one fleet."""

    def __init__(self, folder: Path, *, apart: bool = False, limit_s: float = LIMIT_S) -> None:
        self.folder, self.apart = folder, apart
        self.limit_s = limit_s * (3 if apart else 1)
        self.publisher = RepositorySimulator(folder / "publisher")
        for model in (MODEL, OTHER):
            self.publisher.publish(self.publisher.bundle(model, 1))
        self.console = ConsoleProcess(folder, self.publisher, arguments=("--broker", "none"))
        self._one, self._numbers = threading.Lock(), itertools.count(1)
        self._impatience = patch.object(origin, "SLOW_OVER_S", SLOW_OVER_S)

    def __enter__(self) -> Self:
        self.console.__enter__()
        self.console.upload()
        if not self.apart:
            self._impatience.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.apart:
            self._impatience.stop()
        self.console.stop()

    @contextmanager
    def scene(self, name: str, *, source: Source) -> Iterator["Scene"]:
        """Enrol a device whose repository is a copy of its own, with the same keys."""
        name = f"{name}-{next(self._numbers)}"  # enrolled once, whatever was tried before
        folder = self.folder / name
        base = Path(shutil.copytree(self.publisher.base, folder / "publisher"))
        with (
            RepositorySimulator(base) as repo,
            Hijack(self.console.ready["devices"], self.console.data / "tls", repo) as hijack,
        ):
            tree = Tree(folder / "device")
            tree.make()
            where = "https" if source == "https" else f"dir:{repo.folder}"
            tree.settings.write_text(SETTINGS.format(source=where))
            # To the console each device is a board of its own, and to its agent any will do.
            with self._one, patch.object(hardware, "serial", return_value=name):
                found = enroll(hijack.url, self.console.token(), tree, name=name)
            identity.of(tree).write(replace(found, serial=""))
            with Scene(self, name, source, repo, hijack, tree) as scene:
                yield scene
        shutil.rmtree(folder)


@dataclass
class Scene:
    """One device, and all that it hears."""

    stage: Stage
    device: str
    source: Source
    repo: RepositorySimulator
    hijack: Hijack
    tree: Tree
    version: int = 0
    honest: set[str] = field(default_factory=set)  # sha256 of what may lie on the device
    _kept: dict[str, bytes] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.serve = self._stack.enter_context(ServeSimulator(self.tree))
        self._stack.enter_context(self._agent())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Let the device prove release 1, as the honest director and publisher have it."""
        self._trust()
        self.say(self.document(1))
        self.wait(lambda: self.good() == 1, "release 1 is good")

    def publish(self, release: int, *, floor: int | None = None, **more: Any) -> None:
        """Publish a genuine release: it may come to lie on the device."""
        self.repo.publish(self.repo.bundle(MODEL, release, **more), floor=floor)
        self._trust()

    def _trust(self) -> None:
        for path in (self.repo.folder / "targets").rglob("*.manifest.json"):
            self.honest.add(path.name.partition(".")[0])
        self.honest |= {path.name for path in (self.repo.folder / "blobs").iterdir()}

    def document(self, release: int, *more: Assignment, other: bool = False) -> bytes:
        """Return the director's next word: ``release``, and with ``other`` another model too."""
        self.version += 1
        named = [self.repo.assignment(MODEL, release), *more]
        if other:
            named.append(self.repo.assignment(OTHER, 1))
        return self.repo.director(*named, device=self.device, version=self.version)

    def say(self, document: bytes, how: How = "whole") -> None:
        """Let the director's word reach the device by the way that its source goes."""
        if self.source == "https":
            self.hijack.say(document, how)
            return
        path = self.repo.folder / "director" / f"{self.device}.json"
        path.parent.mkdir(exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_bytes(document)
        beside.replace(path)

    def codes(self) -> set[str]:
        """Return the reason codes that the console stores of this device."""
        told = self.stage.console.rest.get("history", device=self.device, refused="true")
        return {one["code"] for one in told}

    def keep(self, name: str) -> None:
        """Remember what lies in the repository under ``name``, for ``restore``."""
        self._kept[name] = self.repo.read(name)

    def restore(self) -> None:
        for name, data in self._kept.items():
            (self.repo.folder / name).write_bytes(data)

    def settle(self) -> None:
        """Wait until the agent has done what was due: it looks again several times meanwhile."""
        time.sleep(SETTLE_S)

    def good(self, model: str = MODEL) -> int | None:
        try:
            held = journal.read(self.tree.journal(model)).good
        except JournalError:
            return None
        return held.release if held else None

    def heal(self) -> None:
        """Publish honestly, say so honestly, and see that the device takes it."""
        self.publish(HEALED)
        self.say(self.document(HEALED))
        self.wait(lambda: self.good() == HEALED, f"release {HEALED} is good after the attack")

    def strangers(self) -> list[str]:
        """Return what lies or runs here and was never published."""
        named = {path.stem for path in self.tree.manifests.glob("*.json")}
        named |= {path.name for path in self.tree.blobs.iterdir() if path.is_file()}
        named |= {one.manifest for one in self.serve.loaded.values()}
        found = sorted(named - self.honest)
        for path in self.tree.blobs.iterdir():
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
                found.append(f"other bytes in {path.name}")
        return found

    def wait(self, found: Callable[[], object], what: str) -> None:
        """Raise TimeoutError if ``what`` does not become so."""
        limit_s = patient(self.stage.limit_s)
        end = time.monotonic() + limit_s
        while not found():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {limit_s:.0f} s; told {self.codes()}")
            time.sleep(0.02)

    @contextmanager
    def _agent(self) -> Iterator[None]:
        if self.stage.apart:
            process = AgentProcess(self.tree, self.tree.root.parent / "agent.log")
            try:
                yield
            finally:
                process.kill()
            return
        parts = Parts(self.tree, configured.read(self.tree), identity.of(self.tree).read())
        parts.start()
        ended = threading.Event()
        ticking = threading.Thread(target=_tick, args=(parts, ended), daemon=True)
        ticking.start()
        try:
            yield
        finally:
            ended.set()
            ticking.join()
            self.hijack.stopped.set()  # else a poll is waited for
            parts.stop()


def _tick(parts: Parts, ended: threading.Event) -> None:
    while not ended.wait(0.2):
        parts.tick()
