"""What tests of channels share, and tests of lives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral_agent.spool import Spool
from simulators.device import Device
from simulators.ends import AgentsSide
from simulators.repository import RepositorySimulator


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentsSide]:
    spool = Spool(tmp_path / "spool.db", device="pi-7", incarnation=1, cap_bytes=2**20)
    yield AgentsSide(spool)
    spool.close()


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        yield repo


@pytest.fixture
def device(tmp_path: Path, repo: RepositorySimulator) -> Iterator[Device]:
    """A device on which release 1 is good."""
    device = Device(tmp_path / "device", repo)
    device.order("digits", 1)
    device.settle()
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    device.spool.acknowledge({m.stream: m.sequence for m in device.spool.messages({}, limit=99)})
    yield device
    device.stop()
