"""A repository that was published, and a device that believes the release before: all in memory.

The device's path is the agent's own: the document is accepted, what it names is looked up and
chosen, and its files are brought. Only its source is a dictionary, and nobody waits for a disk.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata

from littoral import records
from littoral.errors import EndlessError, ForgottenError, LittoralError
from littoral.tree import Tree
from littoral.trust import writer
from littoral.trust.client import bootstrap
from littoral.trust.clock import TrustedClock
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import sign_time
from littoral.wire.control import Runtime
from littoral.wire.journal import Choice
from littoral_agent.believe import Believer
from littoral_agent.control import Control
from littoral_agent.deeds import fetching
from littoral_agent.deeds.means import Means
from littoral_agent.halting import Halt
from littoral_agent.identity import Enrolment
from littoral_agent.preflight import Preflight
from littoral_agent.settings import Settings
from littoral_agent.sources import Sources
from littoral_agent.streams import Stream
from simulators.repository import RepositorySimulator

DEVICE: Final = "pi-7"
HARDWARE: Final = ("cpu-x86_64",)
TIME: Final = "time"  # what the console says when it is asked
DOCUMENT: Final = "director"
_SETTINGS: Final = Settings(hardware=HARDWARE, disk_reserve_bytes=0)

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a device made of it: by model what it may run, or the code that says why not."""

    chosen: Mapping[str, Choice | str]
    brought: frozenset[str]  # models whose files are here, whole

    @property
    def code(self) -> str:
        return next((c for c in self.chosen.values() if isinstance(c, str)), "believed")


class Shelf:
    """A source that has what is in ``files``, and gives no more than is asked for."""

    offline = lags = False

    def __init__(self, files: Files) -> None:
        self.files = files

    def __call__(self, name: str, *, limit: int) -> bytes:
        data = self._held(name)
        if len(data) > limit:
            raise EndlessError(name, limit=limit)
        return data

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        data = self._held(name)
        yield Stream(start, len(data), iter([data[start:]] if data[start:] else []))

    def _held(self, name: str) -> bytes:
        try:
            return self.files[name]
        except KeyError:
            raise ForgottenError(name) from None


class Clockwork:
    """The console, as far as it says what time it is; ``change`` is what somebody makes of it."""

    def __init__(self, signer: Signer, now: datetime, change: Any) -> None:
        self._signer, self._now, self._change = signer, now, change

    def __call__(self, nonce: str) -> bytes:
        said = sign_time(self._signer, nonce, utc_ms=round(self._now.timestamp() * 1000))
        changed: bytes = self._change(records.to_json(said))
        return changed


@dataclass
class World:
    """``files`` is what is published; ``later`` the same, renewed some time afterwards; ``healed``
    once more, under other online keys.
    """

    folder: Path
    signers: dict[str, Signer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.publisher = p = RepositorySimulator(self.folder / "publisher")
        p.publish(p.bundle("digits", 1))
        self._time = load_signer(p.online / "time.pem")
        self.tree = Tree(self.folder / "device")
        self.tree.make()
        bootstrap(self.tree.metadata, p.root)
        self.old = self._published()
        self.before = p.director(p.assignment("digits", 1), device=DEVICE, version=6)
        settled = self.agent(self.old, self.before, accepted=0)
        if settled.code != "believed":
            raise RuntimeError(f"no start: {settled}")
        self._old_snapshot = load_signer(p.online / "snapshot.pem")
        writer.rotate(p.folder, "snapshot", offline=p.offline, online=p.online, now=p.now)
        p.publish(p.bundle("digits", 2))
        p.publish(p.bundle("words", 1))
        self.files = self._published()
        self._load_signers()
        wanted = (p.assignment("digits", 2), p.assignment("words", 1))
        self.document = p.director(*wanted, device=DEVICE, version=7)
        for _ in range(5):
            p.renew()
        self.later = self._published()
        for role in ("snapshot", "timestamp"):
            writer.rotate(p.folder, role, offline=p.offline, online=p.online, now=p.now)
        p.renew()
        self.healed = self._published()
        self.start = self.state()
        self.honest = self.agent(self.files, self.document)
        self.said = frozenset(
            canonical(data)
            for name, data in (
                *self.files.items(),
                *self.later.items(),
                *self.healed.items(),
                *self.start.items(),
                ("metadata/director", self.document),
            )
            if name.startswith(("metadata/", "trust/metadata/")) or name == "trust/director.json"
        )
        self.whole = self.state()
        self.restore(self.start)

    def agent(
        self,
        files: Files,
        document: bytes,
        *,
        accepted: int = 7,
        change: Any = lambda data: data,
    ) -> Outcome:
        """Let the agent hear ``document`` and ask for ``files``. Raises what it would raise."""
        p, tree = self.publisher, self.tree
        clock = TrustedClock(tree.clock, system=lambda: p.now, boottime=lambda: 0.0)
        sources = Sources(Shelf(files))
        enrolment = Enrolment(device=DEVICE, fleet=p.fleet, incarnation=1, url="https://console")
        ticking = Clockwork(self._time, p.now, change)
        believer = Believer(
            tree,
            enrolment,
            sources=sources,
            clocks=(ticking,),
            clock=clock,
            hardware=HARDWARE,
            preflight=Preflight(ask=_runtime, free_bytes=lambda: 10**9),
        )
        try:
            desired = believer.accept(document, accepted=accepted)
        except LittoralError as e:
            return Outcome({DOCUMENT: e.code}, frozenset())
        means = Means(tree=tree, settings=_SETTINGS, control=Control(tree.control), sources=sources)
        chosen: dict[str, Choice | str] = {}
        brought = set()
        for model, found in believer.choose(desired.assignments).items():
            if not isinstance(found, Choice):
                chosen[model] = found.code
                continue
            chosen[model] = found
            try:
                fetching.bring(means, model, found, Halt())
                brought.add(model)
            except LittoralError as e:
                chosen[f"{model}'s files"] = e.code
        return Outcome(chosen, frozenset(brought))

    def state(self) -> dict[str, bytes]:
        """Return all files of the device."""
        root = self.tree.root
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    def restore(self, state: Mapping[str, bytes], found: Mapping[str, bytes] | None = None) -> None:
        """Make the device's files be those of ``state``; ``found`` are those that are there."""
        found = self.state() if found is None else found
        for name in found.keys() - state.keys():
            (self.tree.root / name).unlink()
        for name, data in state.items():
            if found.get(name) != data:
                path = self.tree.root / name
                path.unlink(missing_ok=True)
                path.write_bytes(data)

    def _published(self) -> dict[str, bytes]:
        folder = self.publisher.folder
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    def _load_signers(self) -> None:
        """Load the keys of all roles, one that was taken away, and one that nobody trusts."""
        p = self.publisher
        for path in (*p.offline.glob("*.pem"), *p.online.glob("*.pem")):
            if path.stem != "device-ca":
                self.signers[path.stem] = load_signer(path)
        # A rotation leaves the new key under the role's name, or one beside it.
        root = json.loads(self.files["metadata/2.root.json"])["signed"]
        keys = root["roles"]["snapshot"]["keyids"]
        by_id = {one.public_key.keyid: one for one in self.signers.values()}
        self.signers["snapshot"] = by_id[keys[0]]
        self.signers["old"] = self._old_snapshot
        self.signers["stranger"] = CryptoSigner.generate_ed25519()


def canonical(data: bytes) -> bytes:
    return Metadata[Any].from_bytes(data).signed_bytes


def _runtime(_: object) -> Runtime:
    return Runtime(name="litert", version="2.3.0", unknown={})
