"""A device without threads: the agent's real parts, a simulated serve, a real repository.

device = Device(tmp_path / "device", repo)
device.order("digits", 2)      # the director names it, signed
device.settle()                # do what is due until nothing is
device.reboot()                # the power was cut: everything in memory is gone
"""

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from littoral.tree import Tree
from littoral.trust.beliefs import Assignment
from littoral.trust.client import bootstrap
from littoral.trust.clock import TrustedClock
from littoral.wire.journal import State
from littoral.wire.messages import Report
from littoral_agent import gates, sources, struck
from littoral_agent.believe import Believer
from littoral_agent.control import Control
from littoral_agent.deeds.means import Means
from littoral_agent.hands import Hands, at_once
from littoral_agent.hosts import Hosts
from littoral_agent.identity import Enrolment, Identity
from littoral_agent.ledger import Ledger
from littoral_agent.life import Life
from littoral_agent.origin import Origin
from littoral_agent.preflight import Preflight
from littoral_agent.promises import Promises
from littoral_agent.refusals import Refusals
from littoral_agent.reports import Reports
from littoral_agent.settings import Settings
from littoral_agent.spool import Spool
from littoral_agent.wishes import Wishes
from littoral_agent.worker import Worker
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

QUICK = Settings(
    hardware=("cpu-x86_64",),
    probation_s=0.0,
    retry_first_s=0.01,
    retry_most_s=0.05,
    refused_retry_s=3600.0,
    serve_poll_s=0.01,
    disk_reserve_bytes=0,
)
DEADLINE_S = 20.0

_boots = itertools.count()


class Device:
    def __init__(
        self,
        root: Path,
        repo: RepositorySimulator,
        *,
        settings: Settings = QUICK,
        machine: Path = Path("/"),
    ) -> None:
        self.repo, self.settings, self.machine = repo, settings, machine
        self.tree = Tree(root)
        self.tree.make()
        enrolment = Enrolment(device="pi-7", fleet=repo.fleet, incarnation=1, url=repo.url)
        Identity(self.tree.identity).write(enrolment)
        bootstrap(self.tree.metadata, repo.root)
        self.enrolment = enrolment
        self.serve = ServeSimulator(self.tree)
        self.versions = itertools.count(1)
        self.later = timedelta()  # how far in the future all of it happens
        self.free_bytes = 10**9  # of memory
        self.start()

    def start(self) -> None:
        """Start serve and the agent, as at boot."""
        self.serve.start()
        self.start_agent(f"boot-{next(_boots)}")

    def start_agent(self, boot: str) -> None:
        self.boot = boot
        settings, tree = self.settings, self.tree
        self.spool = Spool(tree.spool, device="pi-7", incarnation=1, cap_bytes=2**20)
        self.clock = TrustedClock(tree.clock, system=lambda: datetime.now(UTC) + self.later)
        reports = Reports(self.spool, now_ms=lambda: int(time.time() * 1000))
        self.origin, self.hosts = Origin(self.enrolment.url, ca=None), Hosts.of(settings)
        believer = Believer(
            tree,
            self.enrolment,
            sources=sources.of(settings.sources, self.origin, prefix="", hosts=self.hosts),
            clocks=sources.clocks(settings.sources, self.origin),
            clock=self.clock,
            hardware=settings.hardware,
            preflight=Preflight(
                ask=Control(tree.control).runtime, free_bytes=lambda: self.free_bytes
            ),
        )
        self.sources = believer.sources
        means = Means(
            tree=tree,
            settings=settings,
            control=Control(tree.control),
            sources=believer.sources,
            struck=struck.telling(reports),
            root=self.machine,
            gates=gates.of(
                settings,
                tree.usage,
                now=self.clock.now,
                sure=lambda: self.clock.source != "floor-only",
            ),
        )
        promises, hands = Promises(Ledger(tree), reports, settings), Hands(start=at_once)
        self.life = Life(promises, means, hands, boot=boot, named=lambda: self.wishes.named)
        self.wishes = Wishes(means, believer, self.life, Refusals(reports), hands)
        self.worker = Worker(self.life, self.wishes, hands, changed=lambda: None)
        self.worker.wake()

    def stop(self) -> None:
        """Let go of everything, as a power cut does."""
        self.serve.stop()
        self.spool.close()
        self.origin.close()
        self.hosts.close()

    def reboot(self) -> None:
        """Cut the power, and give it back."""
        self.stop()
        self.start()

    def restart_agent(self) -> None:
        """Kill the agent alone, and start it again."""
        self.spool.close()
        self.origin.close()
        self.hosts.close()
        self.start_agent(self.boot)

    def hear(self, document: bytes) -> None:
        self.worker.hear(document)

    def document(self, *assignments: Assignment) -> bytes:
        """What a director says, a version later each time."""
        return self.repo.director(*assignments, device="pi-7", version=next(self.versions))

    def order(self, model: str, release: int, *, attempt: int = 0) -> None:
        self.hear(self.document(self.repo.assignment(model, release, attempt=attempt)))

    def turn(self) -> float:
        """Do what is due once; return after how many seconds more is."""
        return self.worker.turn()

    def settle(self, until: Callable[[], bool] = lambda: False) -> None:
        """Do what is due until nothing is for a while, or until ``until``."""
        deadline = time.monotonic() + DEADLINE_S
        while (nap_s := self.turn()) < 10 and not until():
            assert time.monotonic() < deadline, self.life.journals
            time.sleep(min(nap_s, 0.02))

    def state(self, model: str) -> State:
        return self.life.journals[model].state

    def good(self, model: str) -> int | None:
        held = self.life.journals[model].good
        return held.release if held else None

    @property
    def reports(self) -> list[Report]:
        found = self.spool.messages({}, limit=10_000)
        return [Report.from_json(m.body) for m in found if m.kind == "report"]

    def told(self, model: str) -> list[tuple[str, str | None]]:
        """Event and code of every step that was reported."""
        updates = [one.update for one in self.reports if one.update]
        return [(one.event, one.code) for one in updates if one.model == model]
