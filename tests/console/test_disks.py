"""A console whose disk is full, or takes nothing, or that is killed: it says so, loses nothing."""

import contextlib
import gc
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.test_renewal import Pair
from littoral.errors import DiskFullError
from littoral.wire.messages import Post, Report
from simulators.console import ConsoleProcess, DeviceSimulator, EnrolmentRefusedError, littoral
from simulators.repository import RepositorySimulator

# A peer that is killed between connect and handshake: Python 3.11 raises out of
# ssl.SSLSocket._create without closing the socket it has just made.
RESET = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


class OnSmallDisk(ConsoleProcess):
    """A console whose folder is on a disk of its own."""

    disk: Path

    @property
    def data(self) -> Path:
        return self.disk / "console"

    def fill(self) -> None:
        with (self.disk / "ballast").open("wb", buffering=0) as ballast:
            for size in (2**20, 4096):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)) == size:
                        pass

    def empty(self) -> None:
        (self.disk / "ballast").unlink()

    def mount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.disk], check=True)


@pytest.fixture
def small(tmp_path: Path, small_disk: Path) -> Iterator[OnSmallDisk]:
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    found = OnSmallDisk(tmp_path, publisher, ("--broker", "none"))
    found.disk = small_disk
    found.mount("size=96m")
    with found:
        found.upload()
        yield found


def refused(device: DeviceSimulator, said: Report) -> tuple[int, str]:
    """Return how the console refuses what the device says."""
    body = Post(reports=(said,)).to_json()
    status, answer = device.ask("POST", "/device/messages", body=body, bearer=device.bearer)
    return status, json.loads(answer)["code"]


def everything_goes_on(console: OnSmallDisk, device: DeviceSimulator, said: Report) -> None:
    """Check that what was refused is taken now, and what was taken before is there."""
    assert device.post(said) == {device.stream: 2}
    assert len(console.rest.get("history", device=device.name)) == 2
    publisher = console.publisher
    publisher.publish(publisher.bundle("digits", 2))
    assert ("digits", 2) in {(found["model"], found["release"]) for found in console.upload()}
    assert console.outcome(console.push("digits:2", to=device.name), device.name)
    assert DeviceSimulator(console, "after").enrolled.incarnation == 1
    assert console.rest.get("audit")["broken"] is None
    console.kill()
    console.start()
    assert len(console.rest.get("history", device=device.name)) == 2


def test_a_full_disk_is_said_in_every_answer_and_loses_nothing(small: OnSmallDisk) -> None:
    device = DeviceSimulator(small, "kept")
    device.post(device.report("desired"))
    token = small.token()
    small.publisher.publish(small.publisher.bundle("birds", 1))
    small.fill()
    second = device.report("fetched")
    assert refused(device, second) == (507, "disk-full")
    with pytest.raises(DiskFullError):
        small.push("digits:1", to="kept")
    with pytest.raises(DiskFullError):
        small.upload()
    with pytest.raises(DiskFullError):
        small.token()
    with pytest.raises(EnrolmentRefusedError) as stopped:
        DeviceSimulator(small, "stopped", token=token)
    assert (stopped.value.status, stopped.value.code) == (507, "disk-full")
    assert small.device("kept")["device"]["wanted"] == [], "and it can be looked at"
    small.empty()
    assert DeviceSimulator(small, "stopped", token=token).enrolled.incarnation == 1
    everything_goes_on(small, device, second)


def test_a_console_does_not_start_on_a_disk_that_takes_nothing(small: OnSmallDisk) -> None:
    device = DeviceSimulator(small, "fixed")
    device.post(device.report("desired"))
    assert small.stop() == 0
    small.mount("ro")
    done = littoral("console", "--data", small.data, "--http", "127.0.0.1:0", "--broker", "none")
    small.mount("rw")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.rstrip().endswith("[storage]")
    small.start()
    del device.bearer
    everything_goes_on(small, device, device.report("fetched"))


def killed_while(console: ConsoleProcess, work: Callable[[], object], *, after_s: float) -> None:
    """Kill the console while ``work`` goes on, and start it again."""
    thread = threading.Thread(target=_carelessly, args=(work,))
    thread.start()
    time.sleep(after_s)
    console.kill()
    thread.join()
    gc.collect()  # here, where it is not told: see RESET
    console.start()


def _carelessly(work: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # its console is killed
        work()


@RESET
def test_a_console_killed_during_a_rotation_gives_the_same_certificate(
    fresh: ConsoleProcess,
) -> None:
    device = DeviceSimulator(fresh, "turning")
    pair = Pair(device)
    for n in range(4):
        killed_while(fresh, pair.ask, after_s=0.01 * n)
        device.__dict__.pop("bearer", None)
    assert pair.ask()[0] == 200
    first = pair.certificate
    assert pair.ask()[0] == 200
    assert pair.certificate == first
    _, opened = pair.session()
    assert "bearer" in opened
    rows = fresh.device("turning")["certificates"]
    assert [row["standing"] for row in rows].count("waiting") == 1


@RESET
def test_a_console_killed_during_an_upload_has_all_of_it_or_none(fresh: ConsoleProcess) -> None:
    publisher = fresh.publisher
    for release in range(2, 6):
        publisher.publish(publisher.bundle("digits", release))
        killed_while(fresh, fresh.upload, after_s=0.04 * release)
        found = {one["release"] for one in fresh.rest.get("releases", model="digits")}
        assert found in (set(range(1, release)), set(range(1, release + 1)))
        fresh.upload()
        found = {one["release"] for one in fresh.rest.get("releases", model="digits")}
        assert found == set(range(1, release + 1))
    device = DeviceSimulator(fresh, "reader")
    fresh.push("digits:5", to="reader")
    assert device.desired() is not None
