"""Who starts a trial, and what is heard when that goes wrong."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from littoral.bundle import verified
from littoral.tree import Tree
from littoral.wire.control import Try
from littoral_serve.settings import Settings
from littoral_serve.trials import trying
from littoral_serve.trials.starting import started
from littoral_serve.trials.trial import FILES, Order
from littoral_serve.trials.trying import UntriedError
from patience import patient
from simulators.served import HARDWARE, LONG, Device, Release, alive, wait_until
from simulators.units import KEEPER, trials, trials_by_systemd


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def order(asked: Release, *, cpu_s: int = 30) -> Order:
    return Order(
        **asked.order,
        hardware=HARDWARE,
        address_space_bytes=2**31,
        cpu_s=cpu_s,
        nice=10,
    )


def tried(tree: Tree, asked: Release, *, deadline_s: float = 20) -> str | None:
    wanted = Try(**asked.order, hardware=HARDWARE, deadline_s=deadline_s)
    return asyncio.run(trying.run(wanted, tree=tree, settings=Settings())).code


async def status(asked: Order, tree: Tree) -> int:
    """Let a trial run to its end, whoever starts it."""
    manifest = verified.read_manifest(tree, asked.manifest)
    names = ("model.tflite", "inputs.bin", "outputs.bin")
    files = [verified.open_manifest(tree, asked.manifest)]
    files += [verified.open_file(tree, manifest, name) for name in names]
    assert len(files) == FILES
    try:
        async with started(asked, files, where=tree.trial) as running:
            return await running.wait()
    finally:
        for fd in files:
            os.close(fd)


@pytest.mark.parametrize("way", ["child", "systemd"])
def test_processor_time_ends_with_a_signal_of_its_own(device: Device, way: str) -> None:
    """Not with the one by which a machine out of memory ends it."""
    asked = order(device.add("digits", repeat=LONG), cpu_s=1)
    with ExitStack() as held:
        if way == "systemd":
            held.enter_context(trials_by_systemd(device.tree.trial))
        assert asyncio.run(status(asked, device.tree)) == -signal.SIGXCPU


@pytest.mark.parametrize("way", ["child", "systemd"])
def test_a_trial_that_stops_itself_has_not_ended(device: Device, way: str) -> None:
    async def stop() -> str | None:
        wanted = Try(**device.add("digits", repeat=LONG).order, hardware=HARDWARE, deadline_s=3.0)
        trial = asyncio.create_task(
            trying.run(wanted, tree=device.tree, settings=Settings()), name="trial"
        )
        await asyncio.to_thread(wait_until, lambda: trials(device.tree))
        (pid,) = trials(device.tree)
        os.kill(int(pid), signal.SIGSTOP)
        found = await trial
        assert not alive(pid)
        return found.code

    with ExitStack() as held:
        if way == "systemd":
            held.enter_context(trials_by_systemd(device.tree.trial))
        assert asyncio.run(stop()) == "deadline"


def test_who_keeps_the_trial_may_end_and_that_is_not_the_models_fault(device: Device) -> None:
    async def kill() -> str:
        asked = device.add("digits", repeat=LONG)
        wanted = Try(**asked.order, hardware=HARDWARE, deadline_s=20)
        trial = asyncio.create_task(
            trying.run(wanted, tree=device.tree, settings=Settings()), name="trial"
        )
        await asyncio.to_thread(wait_until, lambda: trials(device.tree))
        found = trials(device.tree)
        lines = (Path("/proc") / found[0] / "status").read_text().splitlines()
        keeper = int(next(line for line in lines if line.startswith("PPid:")).split()[1])
        await asyncio.sleep(0.3)  # until it has asked to end with its keeper
        os.kill(keeper, signal.SIGKILL)
        with pytest.raises(UntriedError) as ended:
            await trial
        wait_until(lambda: not alive(found[0]))
        return ended.value.failure.code

    with trials_by_systemd(device.tree.trial):
        assert asyncio.run(kill()) == "unreachable"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with 64 MiB of memory, as MemoryMax= makes one; root's to make."""
    group = _limited("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
    group = group or _limited("/sys/fs/cgroup", "memory.max")
    if group is None:
        pytest.skip("no control group's memory can be limited here")
    procs = group / "cgroup.procs"
    yield group
    wait_until(lambda: not procs.read_text())
    group.rmdir()


def _limited(home: str, setting: str) -> Path | None:
    group = Path(home) / f"littoral-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        (group / setting).write_text(str(64 * 2**20))
    except OSError:
        group.rmdir()
        return None
    return group


def test_out_of_memory_the_kernel_ends_the_trial_and_not_who_keeps_it(
    device: Device, small_group: Path
) -> None:
    enter = f'echo $$ > {small_group}/cgroup.procs; echo 500 > /proc/self/oom_score_adj; exec "$@"'
    with trials_by_systemd(device.tree.trial, ("/bin/sh", "-c", enter, "sh", *KEEPER)):
        wanted = Try(**device.add("digits", repeat=LONG).order, hardware=HARDWARE, deadline_s=20)
        found = asyncio.run(trying.run(wanted, tree=device.tree, settings=Settings()))
    assert found.code == "memory"
    assert found.detail == "out of memory; the process was ended by SIGKILL"


def test_where_systemd_starts_nothing_serve_does(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    """A unit that is broken must not keep a fleet from its updates; it is told each time."""
    broken = (sys.executable, "-c", "raise SystemExit(1)")
    with trials_by_systemd(device.tree.trial, broken):
        assert tried(device.tree, device.add("digits")) is None
    assert "journalctl -u 'littoral-trial@*'" in caplog.text


def test_where_nobody_listens_serve_starts_it_and_says_nothing(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    with trials_by_systemd(device.tree.trial):
        pass
    assert tried(device.tree, device.add("digits")) is None
    assert caplog.text == ""


def test_a_keeper_that_hangs_is_not_waited_for(
    device: Device, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("littoral_serve.trials.starting._START_S", 0.3)
    hanging = (sys.executable, "-c", "import time; time.sleep(60)")
    with trials_by_systemd(device.tree.trial, hanging):
        assert tried(device.tree, device.add("digits")) is None
    assert "systemd starts no trial" in caplog.text


@pytest.mark.parametrize("said", [b"\xff\xfe", b"{}", b'{"model": 1}', b"[" * 9000, b""])
def test_a_keeper_that_is_told_something_else_says_so_in_one_line(said: bytes) -> None:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        ours.send(said)
        ended = subprocess.run(
            [sys.executable, "-m", "littoral_serve.trials.keeper"],
            stdin=its.fileno(),
            capture_output=True,
            text=True,
            check=False,
            timeout=patient(30),
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: expected an order and its files")
    assert ended.stderr.count("\n") == 1
