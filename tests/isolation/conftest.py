"""The broker to attack: Mosquitto as the console starts it, or the one of LITTORAL_BROKER."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from isolation.fleet import Fleet
from isolation.grounds import Grounds
from littoral_console import broker as brokers
from littoral_console.broker import Broker
from simulators.console import ConsoleProcess
from simulators.repository import RepositorySimulator


@dataclass
class Battle:
    """A fleet that talks through a broker while it is attacked."""

    fleet: Fleet
    runner: asyncio.Runner
    broker: Broker | None  # the child; None: somebody else's

    def run(self, attack: Coroutine[Any, Any, None]) -> None:
        """Attack, and see whether anything leaked or was lost."""

        async def attacked() -> None:
            await attack
            await self.fleet.verdict()

        self.runner.run(attacked())


@pytest.fixture(scope="module")
def battle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battle]:
    url = urlsplit(os.environ.get("LITTORAL_BROKER", ""))
    with asyncio.Runner() as runner:
        if url.hostname:
            folder = Path(os.environ["LITTORAL_BROKER_GROUNDS"])
            grounds, broker = Grounds(folder, url.hostname), None
            where = (url.hostname, url.port or 8883)
        else:
            if brokers.program() is None:
                pytest.skip("mosquitto is not installed")
            grounds = Grounds(tmp_path_factory.mktemp("isolation") / "grounds")
            grounds.make()
            broker = grounds.broker()
            runner.run(broker.start())
            where = (broker.host, broker.port)
        fleet = Fleet(grounds, where)
        runner.run(fleet.start())
        yield Battle(fleet, runner, broker)
        runner.run(_end(fleet, broker))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """Run a console with release 1 of digits."""
    base = tmp_path_factory.mktemp("console")
    publisher = RepositorySimulator(base)
    publisher.publish(publisher.bundle("digits", 1))
    with ConsoleProcess(base, publisher) as found:
        found.upload()
        yield found


async def _end(fleet: Fleet, broker: Broker | None) -> None:
    await fleet.stop()
    if broker is not None:
        ending = asyncio.create_task(broker.supervise())
        await asyncio.sleep(0)
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending
