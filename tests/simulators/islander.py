"""The agent's half of a device that reaches nothing but the broker, without its process.

with Islander(console, "pi-7").up() as device:     # enrolled, and connected
    device.source("metadata/timestamp.json", limit=9999)
    device.bring(file)                             # into its own tree
    device.report_s()                              # until the console acknowledged a report
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from littoral.bundle.manifest import File
from littoral.tree import Tree
from littoral_agent import fetch
from littoral_agent.blocks import Blocks
from littoral_agent.download import Limits
from littoral_agent.halting import Halt
from littoral_agent.identity import Identity
from littoral_agent.mqtt import Mqtt
from littoral_agent.relayed import Relayed
from littoral_agent.spool import Spool
from simulators.console import ConsoleProcess, DeviceSimulator, until
from simulators.ends import AgentsSide


class Islander:
    def __init__(self, console: ConsoleProcess, name: str, *, broker: str | None = None) -> None:
        self.name = name
        enrolled = DeviceSimulator(console, name)
        identity = Identity(enrolled.folder)
        shutil.copy(console.data / "tls" / "console-ca.crt", identity.console_ca)
        spool = Spool(enrolled.folder / "spool.db", device=name, incarnation=1, cap_bytes=2**20)
        self.side, self.blocks = AgentsSide(spool), Blocks()
        self.side.status = replace(self.side.status, device=name)
        ends = replace(self.side.ends, device=name, blocks=self.blocks)
        self.channel = Mqtt(ends, identity, broker=broker or console.ready["broker"])
        spool.waiting = self.channel.wake
        self.source, self.tree = Relayed(self.blocks), Tree(enrolled.folder / "tree")
        self.tree.make()

    @contextmanager
    def up(self) -> Iterator["Islander"]:
        self.channel.start()
        try:
            until(lambda: self.blocks.is_open, "connected")
            yield self
        finally:
            self.channel.stop()
            self.side.spool.close()

    def bring(self, file: File, halt: Halt | None = None) -> int:
        brought = fetch.bring([file], self.source, self.tree, limits=Limits(), halt=halt or Halt())
        return brought.bytes

    def report_s(self) -> float:
        """Return how long the console takes to acknowledge a report."""
        self.side.report()
        begun = time.monotonic()
        until(lambda: self.side.waiting == 0, "acknowledged")
        return time.monotonic() - begun
