"""A whole fleet of one device: publisher, console, broker, serve, and the agent's own process.

with Fleet(tmp_path) as fleet:
    fleet.enrol()                       # through the console's real listener
    with fleet.agent():                 # python -m littoral_agent
        fleet.order("digits", 1)        # to whoever asks: the broker's retained, the long poll's
        fleet.wait(lambda: fleet.good("digits") == 1)

Serve is simulated over its real socket; everything else is what a device meets outside.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from littoral.errors import JournalError
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.journal import Journal
from littoral.wire.messages import Key, Report
from littoral_agent.enroll import enroll
from patience import patient
from simulators.broker import BrokerSimulator
from simulators.listener import ListenerSimulator
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

SETTINGS = """
hardware = ["cpu-x86_64"]
probation_s = 0.3
serve_poll_s = 0.1
retry_first_s = 0.05
retry_most_s = 0.5
fallback_after_s = 1.0
telemetry_window_s = 0.3
disk_reserve_bytes = 0
"""


class AgentProcess:
    """``python -m littoral_agent`` on a folder."""

    def __init__(self, tree: Tree, log: Path) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "littoral_agent", "--data", str(tree.root)],
            stdout=self._log,
            stderr=self._log,
        )

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self._log.close()
        return code


class Fleet:
    def __init__(self, folder: Path, *, broker: bool = True, settings: str = SETTINGS) -> None:
        self.repo = RepositorySimulator(folder)
        self.console = ListenerSimulator(folder / "console", self.repo)
        self.broker: BrokerSimulator | None = None
        if broker:
            self.broker = BrokerSimulator(folder / "broker", self.repo)
            self.console.broker = self.broker.address
            # One console: one CA, one memory of what was committed.
            self.broker.tls = self.console.tls
            self.broker.taken = self.console.taken
        self.tree = Tree(folder / "device")
        self.tree.make()
        self.tree.settings.write_text(settings)
        self.serve = ServeSimulator(self.tree)
        self.log = folder / "agent.log"
        self.version = 0

    def __enter__(self) -> Self:
        self.repo.__enter__()
        self.console.start()
        if self.broker is not None:
            self.broker.start()
        self.serve.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.log.exists():
            error.add_note(self.log.read_text()[-8000:])
        self.serve.stop()
        if self.broker is not None:
            self.broker.kill()
        self.console.stop()
        self.repo.__exit__(None, None, None)

    def enrol(self, name: str = "pi-7") -> None:
        enroll(self.console.url, self.console.token(name), self.tree, name=name)

    @contextmanager
    def agent(self) -> Iterator[AgentProcess]:
        process = AgentProcess(self.tree, self.log)
        try:
            yield process
        finally:
            process.kill()

    def order(self, model: str, release: int, **more: Any) -> None:
        self.version += 1
        assignment = self.repo.assignment(model, release, **more)
        document = self.repo.director(
            assignment,
            device="pi-7",
            incarnation=self.console.incarnations["pi-7"],
            version=self.version,
        )
        self.console.desire("pi-7", document)
        if self.broker is not None and self.broker.runs:
            self.broker.desire("pi-7", document)

    def wait(self, until: Callable[[], object], *, within_s: float = 30.0) -> None:
        deadline = time.monotonic() + patient(within_s)
        while not until():
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.02)

    def journal(self, model: str) -> Journal:
        try:
            return journal.read(self.tree.journal(model))
        except JournalError:
            return Journal(model=model)

    def good(self, model: str) -> int | None:
        held = self.journal(model).good
        return held.release if held else None

    @property
    def taken(self) -> dict[Key, bytes]:
        """What the console committed, each key once."""
        return self.console.taken

    @property
    def reports(self) -> list[Report]:
        """What it committed of reports, in their order."""
        found = [(k, body) for k, body in list(self.taken.items()) if k.stream.startswith("report")]
        found.sort(key=lambda one: (one[0].stream, one[0].sequence))
        return [Report.from_json(body) for _, body in found]

    def events(self, model: str) -> list[tuple[str, str | None]]:
        updates = [one.update for one in self.reports if one.update]
        return [(one.event, one.code) for one in updates if one.model == model]
