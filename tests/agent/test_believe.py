"""What is believed when keys were stolen and taken away again: nobody is locked out for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral.trust import writer
from littoral.trust.beliefs import FARTHEST
from littoral.trust.director import MOST_VERSION
from littoral.trust.repository import Repository
from littoral.wire.journal import State
from simulators.device import Device
from simulators.repository import Fault, RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path / "publisher") as simulator:
        for release in (1, 2):
            simulator.publish(simulator.bundle("digits", release))
        yield simulator


@pytest.fixture
def device(tmp_path: Path, repo: RepositorySimulator) -> Iterator[Device]:
    device = Device(tmp_path / "device", repo)
    yield device
    device.stop()


def rotate(repo: RepositorySimulator, role: str) -> None:
    writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
    repo.renew()


def say(device: Device, repo: RepositorySimulator, release: int, *, version: int) -> None:
    """Let whoever holds the director's key say what the device shall run."""
    wanted = repo.assignment("digits", release)
    device.hear(repo.director(wanted, device="pi-7", version=version))
    device.settle()


def refusals(device: Device) -> list[str | None]:
    return [one.code for one in device.reports if one.kind == "director"]


@pytest.mark.parametrize("version", [10**9, FARTHEST, MOST_VERSION - 1])
def test_a_stolen_director_key_that_counted_far_ahead_is_forgotten_with_its_root(
    device: Device, repo: RepositorySimulator, version: int
) -> None:
    """Fast forward: what comes after such a version would be older for ever."""
    say(device, repo, 1, version=version)
    say(device, repo, 2, version=5)
    assert (device.good("digits"), refusals(device)) == (1, ["rollback"])
    rotate(repo, "director")
    say(device, repo, 2, version=6)
    assert (device.good("digits"), device.wishes.version) == (2, 6)


def test_versions_never_go_back_under_the_key_that_took_its_place(
    device: Device, repo: RepositorySimulator
) -> None:
    say(device, repo, 1, version=10**9)
    rotate(repo, "director")
    say(device, repo, 2, version=7)
    say(device, repo, 1, version=6)
    assert (device.good("digits"), refusals(device)) == (2, ["rollback"])
    device.reboot()
    say(device, repo, 1, version=5)
    assert (device.good("digits"), device.wishes.version) == (2, 7)


def test_a_kept_document_that_is_damaged_forgives_nothing(
    device: Device, repo: RepositorySimulator
) -> None:
    """Flash that rots does not turn versions back."""
    say(device, repo, 2, version=9)
    device.tree.desired.write_bytes(b"{")
    say(device, repo, 1, version=8)
    assert (device.good("digits"), refusals(device)) == (2, ["rollback"])


@pytest.mark.parametrize("version", [MOST_VERSION, 2**62])
def test_a_version_that_no_number_of_json_is_is_malformed(
    device: Device, repo: RepositorySimulator, version: int
) -> None:
    say(device, repo, 1, version=version)
    assert "digits" not in device.life.journals
    assert refusals(device) == ["malformed"]


@pytest.mark.parametrize("role", ["time", "timestamp", "snapshot"])
def test_a_stolen_key_that_claims_2099_locks_nobody_out(
    device: Device, repo: RepositorySimulator, role: str
) -> None:
    """Whatever it vouched for is forgotten when the next document makes the device look."""
    say(device, repo, 1, version=1)
    assert device.good("digits") == 1
    root = Repository(repo.folder).root()
    keyid = next(iter(repo.anchors.time)) if role == "time" else root.roles[role].keyids[0]
    device.clock.raise_floor(datetime(2099, 1, 1, tzinfo=UTC), keyid)
    say(device, repo, 2, version=2)
    assert (device.good("digits"), refusals(device)) == (1, ["expired"])
    rotate(repo, role)
    say(device, repo, 2, version=3)
    assert (device.good("digits"), device.state("digits")) == (2, State.IDLE)
    assert device.clock.now() < datetime.now(UTC) + timedelta(days=1)


def test_an_expired_document_is_told_as_such_where_the_repository_is_silent(
    device: Device, repo: RepositorySimulator
) -> None:
    """A freeze is a freeze, though nobody can be asked for a newer root."""
    repo.fault("metadata/*", Fault.BROKEN)
    device.later = timedelta(days=15)
    device.restart_agent()
    say(device, repo, 1, version=1)
    assert refusals(device) == ["expired"]
