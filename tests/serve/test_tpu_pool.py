"""TPUs that are slow, hang, fail, are pulled and plugged in again, with real children."""

import asyncio
import errno
import hashlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from littoral.errors import BackendError, BackendMissingError, StorageError
from littoral.model import probing
from littoral_serve.running.runners import Outputs
from littoral_serve.tpu.jobs import LostError
from littoral_serve.tpu.life import State
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.orders import Limits
from littoral_serve.tpu.pool import Pool
from simulators import edgetpu
from simulators.edgetpu import Sticks
from simulators.served import alive

COMPILED = (Path(probing.__file__).parent / "probes/edgetpu.tflite").read_bytes()
LIMITS = Limits(invoke_s=1.0, first_pause_s=0.05, most_pause_s=0.2)
ASKED = (np.array([[1, 2, 3, 4]], np.uint8),)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def sticks(library: Path, monkeypatch: pytest.MonkeyPatch) -> Sticks:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    found = Sticks(library)
    found.plug("usb 2-1")
    found.fault("")
    found.version(14)
    return found


def model(data: bytes = COMPILED, *, folder: Path, open_: Callable[[], int] | None = None) -> Model:
    """Return ``data`` as a model, whose tensors are those of the probe."""
    from littoral.model import graph

    read = graph.read(COMPILED)
    path = folder / "model.tflite"
    path.write_bytes(data)
    ins, outs = ([read.tensors[k].spec() for k in ks] for ks in (read.inputs, read.outputs))
    return Model(
        "digits",
        open_=open_ or (lambda: os.open(path, os.O_RDONLY)),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        inputs=tuple(ins),
        outputs=tuple(outs),
    )


def said_of(pid: int | None, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def run(pool: Pool, one: Model) -> Outputs | BackendError:
    found: asyncio.Future[Outputs | BackendError] = asyncio.Future()
    pool.run(one, ASKED, lambda made, *_: found.set_result(made))
    async with asyncio.timeout(20):
        return await found


async def ran(pool: Pool, one: Model) -> bool:
    return not isinstance(await run(pool, one), BackendError)


async def until(check: Callable[[], bool], *, one: Model) -> None:
    """Wait until ``check`` holds, which is looked at whenever ``one`` changes."""
    changed = asyncio.Event()
    one.watch(changed.set)
    async with asyncio.timeout(20):
        while not check():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):  # a seat's state has no watcher
                    await changed.wait()
            changed.clear()


def pooled(
    use: Callable[[Pool, Model], Awaitable[None]],
    folder: Path,
    *devices: str,
    data: bytes = COMPILED,
) -> None:
    """Let ``use`` have a pool, with a model in it; no child is left."""

    async def work() -> None:
        pool, one = Pool(devices, limits=LIMITS), model(data, folder=folder)
        pool.add(one)
        try:
            await use(pool, one)
        finally:
            pids = [seat.pid for seat in pool.seats]
            await pool.close()
        assert not any(alive(str(pid)) for pid in pids)
        assert all(seat.state is State.OFF for seat in pool.seats)

    asyncio.run(work())


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


@pytest.mark.parametrize("faults", [("CANNOT_OPEN",), ("NO_DEVICES",)])
def test_no_tpu_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, *faults)))

    async def use(pool: Pool, one: Model) -> None:
        assert isinstance(await run(pool, one), BackendMissingError)
        assert not pool.holds(one)
        assert one.refusal is None

    pooled(use, tmp_path)


@pytest.mark.parametrize(
    ("faults", "code", "words"),
    [
        (("OLD_ABI", "CRASHES"), "crash", "3 processes ended while they loaded it"),
        (("IDLE",), "not-delegated", "took over none of its operators"),
        (("NO_PROGRAM",), "backend", "Missing raw model data"),
        (("ABORTS",), "crash", "3 processes ended"),
    ],
)
def test_a_model_that_no_tpu_will_have_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...], code: str, words: str
) -> None:
    """As with a library that was built against an older TensorFlow, which ends the process."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, *faults)))

    async def use(pool: Pool, one: Model) -> None:
        await until(lambda: one.refusal is not None, one=one)
        assert isinstance(await run(pool, one), BackendMissingError)
        assert one.refusal is not None
        assert one.refusal.code == code
        assert words in str(one.refusal)
        await until(lambda: pool.seats[0].state is State.READY, one=one)

    pooled(use, tmp_path)


def test_a_model_for_a_newer_runtime_is_refused_in_words(sticks: Sticks, tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    from simulators.edgetpu_compiled import Package, compiled

    tiny = (Path(__file__).parents[1] / "fixtures/tiny_int8.tflite").read_bytes()
    sticks.version(13)
    data = compiled(tiny, package=Package(runtime=14))

    async def use(pool: Pool, one: Model) -> None:
        assert isinstance(await run(pool, one), BackendMissingError)
        assert one.refusal is not None
        assert one.refusal.code == "wrong-runtime"
        assert "compiled for runtime version 14" in str(one.refusal)
        assert "13 is here" in str(one.refusal)

    pooled(use, tmp_path, data=data)


@pytest.mark.usefixtures("sticks")
def test_a_file_with_other_bytes_is_never_loaded(tmp_path: Path) -> None:
    async def work() -> None:
        pool, one = Pool(limits=LIMITS), model(folder=tmp_path)
        (tmp_path / "model.tflite").write_bytes(COMPILED[:-1] + b"x")
        pool.add(one)
        assert isinstance(await run(pool, one), BackendError)
        assert "sha256" in str(one.refusal)
        await pool.close()

    asyncio.run(work())


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
