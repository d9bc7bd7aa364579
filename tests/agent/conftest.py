"""What tests of channels share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral_agent.spool import Spool
from simulators.ends import AgentsSide


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentsSide]:
    spool = Spool(tmp_path / "spool.db", device="pi-7", incarnation=1, cap_bytes=2**20)
    yield AgentsSide(spool)
    spool.close()
