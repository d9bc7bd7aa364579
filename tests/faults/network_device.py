"""One device on the far side of the line, and what its console and its own disk say of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from subprocess import Popen
from typing import TYPE_CHECKING, Any, Final

from faults import network_ledger
from faults.client import Asked
from faults.line import Came
from faults.network_ledger import Said
from faults.network_places import DEVICES, Place
from faults.pair import Pair
from littoral.bundle.manifest import NAME
from littoral.errors import JournalError
from littoral.tree import Tree
from littoral.wire import journal
from patience import patient

if TYPE_CHECKING:
    from faults.network_scene import Stage

LIMIT_S: Final = 90.0
_MODEL: Final = "digits"
_RESOLVER: Final = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class Ashore(Pair):
    """Both programs on the device's side of the line, with a resolver and a clock of their own."""

    there: Place
    environment: dict[str, str]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.environment = {}

    def set_out(self) -> None:
        """Start whichever does not run."""
        with self.there.inside():
            self.start()

    def _begun(self, words: list[str], *, stdout: int | None = None) -> Popen[bytes]:
        resolver = str(self.tree.root.parent / "resolv.conf")
        own = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _RESOLVER, resolver]
        clock = [f"{name}={value}" for name, value in self.environment.items()]
        return super()._begun([*own, "env", *clock, *words], stdout=stdout)


@dataclass
class Scene:
    """A device, from the moment it is enrolled."""

    stage: "Stage"
    name: str
    tree: Tree
    ashore: Ashore
    wanted: int = 1  # the release that its console wants
    bytes: int = 0  # of that release
    before: dict[int, Came] = field(default_factory=dict)  # by port of the console

    def begin(self) -> None:
        """Let it prove release 1 in fair weather, and say so."""
        self.ashore.set_out()
        self.stage.console.push(f"{_MODEL}:1", to=self.name)
        self.wait(lambda: self.arrived, "release 1 is proven")
        told = self.said
        self.wait(lambda: self.heard(told), "its console knows")

    def push(self) -> None:
        """Publish a new release, and have the console want it here."""
        self.wanted = self.stage.release()
        ports = (DEVICES, self.stage.broker)
        self.before = {port: self.stage.line.came(port) for port in ports}
        files = (self.stage.folder / "made" / str(self.wanted)).iterdir()
        self.bytes = sum(one.stat().st_size for one in files if one.name != NAME)
        self.stage.console.push(f"{_MODEL}:{self.wanted}", to=self.name)

    @property
    def good(self) -> int | None:
        try:
            held = journal.read(self.tree.journal(_MODEL)).good
        except JournalError:
            return None
        return held.release if held else None

    @property
    def arrived(self) -> bool:
        """Whether what is wanted is proven here."""
        return self.good == self.wanted

    def heard(self, told: Said) -> bool:
        """Whether the console has all that was ``told``, and shows what is good here."""
        return network_ledger.waiting(self.tree, told) == 0 and self.shown == self.good

    @property
    def shown(self) -> int | None:
        """The release that is good here, as far as the console knows."""
        models = self.stage.console.device(self.name)["device"]["models"]
        return next((one["good"] for one in models if one["model"] == _MODEL), None)

    @property
    def said(self) -> Said:
        return network_ledger.said(self.tree)

    def codes(self) -> set[str]:
        """Return the reason codes that the console stores of this device."""
        told = self.stage.console.rest.get("history", device=self.name, refused="true")
        return {one["code"] for one in told}

    def events(self) -> list[dict[str, Any]]:
        """Return what the console was told of the release that is wanted, oldest first."""
        told = self.stage.console.rest.get("history", device=self.name)
        return [one for one in reversed(told) if one["release"] == self.wanted]

    @property
    def told(self) -> set[str]:
        """The reason codes that this device has said, whether or not anybody heard."""
        updates = [one.update for one in self.said.reports if one.update]
        return {one.code for one in updates if one.code}

    def came(self, port: int) -> Came:
        """Return what came from ``port`` of the console since the release is wanted."""
        before, now = self.before.get(port, Came()), self.stage.line.came(port)
        return Came(now.bytes - before.bytes, now.connections - before.connections)

    @property
    def come(self) -> float:
        """Which share of the largest file that is on its way is here."""
        sizes = [path.stat().st_size for path in self.tree.parts.iterdir()]
        return 1.0 if self.arrived else max(sizes, default=0) / max(1, self.stage.size)

    @property
    def asked(self) -> list[Asked]:
        return list(self.ashore.client.asked)

    def wait(self, found: Callable[[], object], what: str, *, limit_s: float = LIMIT_S) -> None:
        """Raise TimeoutError if ``what`` does not become so."""
        end = time.monotonic() + patient(limit_s)
        while not found():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {limit_s:.0f} s")
            if not self.ashore.runs("agent"):
                raise TimeoutError(f"{what}: the agent ended")
            time.sleep(0.02)
