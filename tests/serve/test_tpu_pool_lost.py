"""TPUs that are slow, hang, fail, are pulled and plugged in again, with real children."""

import asyncio
import errno
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert")

from littoral.errors import BackendError, BackendMissingError, StorageError
from littoral_serve.tpu.jobs import LostError
from littoral_serve.tpu.life import State
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.pool import Pool
from simulators import edgetpu
from simulators.edgetpu import Sticks
from simulators.pooled import LIMITS, model, pooled, ran, run, until


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def sticks(library: Path, monkeypatch: pytest.MonkeyPatch) -> Sticks:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    return edgetpu.plugged(library)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_stick_that_is_pulled_costs_one_request_and_comes_back(
    sticks: Sticks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(pool: Pool, one: Model) -> None:
        assert await ran(pool, one)
        sticks.plug()
        sticks.fault("abort")
        assert isinstance(await run(pool, one), LostError)
        assert not pool.holds(one)
        assert isinstance(await run(pool, one), BackendMissingError)
        (seat,) = pool.seats
        await until(lambda: "lists none" in caplog.text, one=one)
        sticks.fault("")
        sticks.plug("usb 2-1")
        await until(lambda: pool.holds(one), one=one)
        assert await ran(pool, one)
        assert seat.path == "/sys/bus/usb/devices/2-1"

    pooled(use, tmp_path)
    assert "USB transfer error 5" in caplog.text
    assert "SIGABRT" in caplog.text


def test_one_that_hangs_is_killed_in_time(
    sticks: Sticks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(pool: Pool, one: Model) -> None:
        assert await ran(pool, one)
        pid = pool.seats[0].pid
        sticks.fault("hang")
        async with asyncio.timeout(LIMITS.invoke_s + 5):
            assert isinstance(await run(pool, one), LostError)
        sticks.fault("")
        await until(lambda: pool.holds(one), one=one)
        assert pool.seats[0].pid != pid
        assert await ran(pool, one)

    pooled(use, tmp_path)
    assert "did not answer within 1 s" in caplog.text


def test_an_invoke_that_fails_is_the_requests_and_not_the_childs(
    sticks: Sticks, tmp_path: Path
) -> None:
    async def use(pool: Pool, one: Model) -> None:
        assert await ran(pool, one)
        pid = pool.seats[0].pid
        sticks.fault("error")
        made = await run(pool, one)
        assert isinstance(made, BackendError)
        assert not isinstance(made, LostError)
        assert "USB transfer error" in str(made)
        sticks.fault("")
        assert await ran(pool, one)
        assert pool.seats[0].pid == pid

    pooled(use, tmp_path)


@pytest.mark.usefixtures("sticks")
def test_a_child_that_is_killed_or_stopped_is_replaced(tmp_path: Path) -> None:
    async def use(pool: Pool, one: Model) -> None:
        for number in (signal.SIGKILL, signal.SIGSTOP):
            assert await ran(pool, one)
            pid = pool.seats[0].pid
            assert pid is not None
            os.kill(pid, number)
            with suppress(AssertionError):
                assert await ran(pool, one)
            await until(lambda: pool.holds(one) and pool.seats[0].pid != pid, one=one)  # noqa: B023

    pooled(use, tmp_path)


def test_pauses_grow(sticks: Sticks, tmp_path: Path) -> None:
    async def work() -> None:
        sticks.plug()
        pool = Pool(limits=replace(LIMITS, first_pause_s=0.1, most_pause_s=1000.0))
        one = model(folder=tmp_path)
        pool.add(one)
        (seat,) = pool.seats
        pids: set[int | None] = set()
        end = asyncio.get_running_loop().time() + 1.5
        while asyncio.get_running_loop().time() < end:
            pids.add(seat.pid)
            await asyncio.sleep(0.02)
        assert 1 <= len(pids - {None}) <= 5
        await pool.close()

    asyncio.run(work())


@pytest.mark.usefixtures("sticks")
def test_a_model_that_could_not_be_handed_over_for_now_is_loaded_later(tmp_path: Path) -> None:
    """Descriptors may be out while a child comes: that is no reason to leave its TPU for good."""

    async def work() -> None:
        outs = [OSError(errno.EMFILE, "Too many open files")]

        def opened() -> int:
            if outs:
                raise StorageError("model.tflite: Too many open files") from outs.pop()
            return os.open(tmp_path / "model.tflite", os.O_RDONLY)

        pool, one = Pool(limits=LIMITS), model(folder=tmp_path, open_=opened)
        pool.add(one)
        await until(lambda: pool.holds(one), one=one)
        assert one.refusal is None
        assert await ran(pool, one)
        await pool.close()

    asyncio.run(work())


@pytest.mark.usefixtures("sticks")
def test_a_child_that_does_not_start_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    async def work() -> None:
        pool, one = Pool(limits=replace(LIMITS, most_pause_s=0.05)), model(folder=tmp_path)
        before = descriptors()
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", refuse)
            pool.add(one)
            (seat,) = pool.seats
            await until(lambda: seat.state is State.AWAY, one=one)
            assert descriptors() == before
        await until(lambda: pool.holds(one), one=one)
        await pool.close()

    asyncio.run(work())
    assert "Resource temporarily unavailable" in caplog.text
