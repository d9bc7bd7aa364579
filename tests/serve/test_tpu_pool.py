"""TPUs that work, one for each child, with real children: alone, several, and lent to a trial."""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from littoral.errors import BackendError
from littoral_serve.tpu.jobs import LostError
from littoral_serve.tpu.life import State
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.pool import Pool
from simulators import edgetpu
from simulators.edgetpu import Sticks
from simulators.pooled import model, pooled, ran, run, until
from simulators.served import alive


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def sticks(library: Path, monkeypatch: pytest.MonkeyPatch) -> Sticks:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    return edgetpu.plugged(library)


def said_of(pid: int | None, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


@pytest.mark.usefixtures("sticks")
def test_a_model_runs_in_its_tpus_own_child(tmp_path: Path) -> None:
    async def use(pool: Pool, one: Model) -> None:
        made = await run(pool, one)
        assert not isinstance(made, BackendError), made
        (found,) = made
        assert found.dtype == np.uint8
        (seat,) = pool.seats
        assert (seat.path, seat.pid) != ("", os.getpid())
        assert "Max core file size        0 " in said_of(seat.pid, "limits")
        assert "NoNewPrivs:\t1" in said_of(seat.pid, "status")
        assert [await ran(pool, one) for _ in range(20)] == [True] * 20

    pooled(use, tmp_path)


def test_several_sticks_work_at_once_and_one_that_is_lost_is_no_loss(
    sticks: Sticks, tmp_path: Path
) -> None:
    sticks.plug("usb 2-1", "usb 2-2", "pci apex_0")

    async def use(pool: Pool, one: Model) -> None:
        await until(lambda: len([s for s in pool.seats if s.state is State.READY]) == 3, one=one)
        assert {seat.path[-3:] for seat in pool.seats} == {"2-1", "2-2", "x_0"}
        sticks.fault("slow 300")
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await asyncio.gather(*(ran(pool, one) for _ in range(3))) == [True] * 3
        assert loop.time() - start < 0.85
        # The first in the list: the names of the others move up.
        sticks.plug("usb 2-2", "pci apex_0")
        sticks.fault("2-1 abort")
        found = await asyncio.gather(*(run(pool, one) for _ in range(6)))
        assert sum(isinstance(made, LostError) for made in found) == 1
        assert pool.holds(one)
        sticks.fault("")
        sticks.plug("usb 2-2", "pci apex_0", "usb 2-1")
        await until(lambda: all(seat.state is State.READY for seat in pool.seats), one=one)
        assert {seat.path[-3:] for seat in pool.seats} == {"2-1", "2-2", "x_0"}

    pooled(use, tmp_path)


def test_a_tpu_that_is_named_is_the_one_that_is_used(sticks: Sticks, tmp_path: Path) -> None:
    sticks.plug("usb 2-1", "usb 2-2", "pci apex_0")

    async def use(pool: Pool, one: Model) -> None:
        await until(lambda: all(s.state is State.READY for s in pool.seats), one=one)
        assert [seat.path[-3:] for seat in pool.seats] == ["2-2", "x_0"]

    pooled(use, tmp_path, "usb:1", "pci:0")


@pytest.mark.usefixtures("sticks")
def test_a_trial_has_the_tpu_for_itself_and_requests_wait(tmp_path: Path) -> None:
    async def use(pool: Pool, one: Model) -> None:
        assert await ran(pool, one)
        (seat,) = pool.seats
        pid = seat.pid
        async with pool.lent() as lent:
            assert (lent.device, lent.taken) == ("/sys/bus/usb/devices/2-1", ())
            assert not alive(str(pid))
            assert not pool.holds(one)
            waiting = asyncio.ensure_future(run(pool, one))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert not isinstance(await waiting, BackendError)

    pooled(use, tmp_path)


def test_a_trial_waits_for_a_run_and_another_trial(sticks: Sticks, tmp_path: Path) -> None:
    async def use(pool: Pool, one: Model) -> None:
        assert await ran(pool, one)
        sticks.fault("slow 200")
        running = asyncio.ensure_future(run(pool, one))
        await asyncio.sleep(0)
        async with pool.lent():
            assert running.done()
            assert not isinstance(running.result(), BackendError)
            second = asyncio.ensure_future(_lend(pool))
            await asyncio.sleep(0)
            assert not second.done()
        await second
        sticks.fault("")
        assert await ran(pool, one)

    pooled(use, tmp_path)


async def _lend(pool: Pool) -> None:
    async with pool.lent():
        pass


@pytest.mark.usefixtures("sticks")
def test_what_is_dropped_is_unloaded_and_the_last_one_ends_the_child(tmp_path: Path) -> None:
    async def use(pool: Pool, one: Model) -> None:
        (tmp_path / "other").mkdir()
        other = model(folder=tmp_path / "other")
        pool.add(other)
        assert await ran(pool, one)
        assert await ran(pool, other)
        pid = pool.seats[0].pid
        pool.drop(other)
        assert not pool.holds(other)
        assert await ran(pool, one)
        assert pool.seats[0].pid == pid
        pool.drop(one)
        await until(lambda: not alive(str(pid)), one=one)
        assert pool.seats[0].state is State.OFF

    pooled(use, tmp_path)
