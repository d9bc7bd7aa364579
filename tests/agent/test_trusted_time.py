"""Boards whose clock is wrong, and thieves who say what time it is: asked of the whole agent.

Nobody is locked out, and nothing whose time is over is run, once the console answered a nonce.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Timestamp

from littoral.trust import writer
from littoral.trust.clock import BUILT
from littoral.trust.keyfiles import load_signer
from simulators.device import Device
from simulators.repository import RepositorySimulator

NOW = datetime.now(UTC)
EPOCH, THIEVES = datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
CLOCKS = {
    "1970": EPOCH - NOW,
    "build": BUILT - NOW,
    "true": timedelta(),
    "ahead": timedelta(days=5 * 365),
    "behind": timedelta(days=-400),
}
OVER = timedelta(days=15)  # what is signed online ends after fourteen
TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path / "publisher", now=NOW) as simulator:
        for release in (1, 2, 3):
            simulator.publish(simulator.bundle("digits", release))
        yield simulator


@pytest.fixture
def device(tmp_path: Path, repo: RepositorySimulator) -> Iterator[Device]:
    """A device that runs release 1, and has never asked a console for the time."""
    device = Device(tmp_path / "device", repo)
    device.order("digits", 1)
    device.settle()
    yield device
    device.stop()


@pytest.fixture(params=CLOCKS)
def board(device: Device, request: pytest.FixtureRequest) -> Device:
    """That device, started on a board with such a clock, before a console that answers."""
    device.later = CLOCKS[request.param]
    device.repo.time = lambda: device.repo.now
    device.reboot()
    return device


def order(device: Device, release: int) -> None:
    device.order("digits", release)
    device.settle()


def codes(device: Device) -> set[str | None]:
    """Why a document or a release was refused."""
    told = [one.code for one in device.reports if one.kind == "director"]
    return {*told, *(code for event, code in device.told("digits") if event == "refused")}


def test_whatever_the_board_thinks_what_is_fresh_runs(board: Device) -> None:
    order(board, 2)
    assert (board.good("digits"), board.clock.source) == (2, "signed")


@pytest.mark.parametrize("fresh", ["nothing", "director"])
def test_whatever_the_board_thinks_what_is_over_does_not(board: Device, fresh: str) -> None:
    """A frozen mirror, or a frozen mirror and console: the good release stays."""
    if fresh == "nothing":
        document = board.document(board.repo.assignment("digits", 2))
        board.repo.now += OVER
        board.hear(document)
        board.settle()
    else:
        board.repo.now += OVER
        order(board, 2)
    assert (board.good("digits"), codes(board)) == (1, {"expired"})
    board.reboot()
    board.settle()
    assert board.serve.running == {"digits": 1}, "expiry never gates a start"


def test_a_clock_that_steps_back_lets_nothing_in(device: Device, repo: RepositorySimulator) -> None:
    repo.time = lambda: repo.now
    order(device, 1)
    device.later = CLOCKS["1970"]
    repo.now += OVER
    order(device, 2)
    assert (device.good("digits"), codes(device)) == (1, {"expired"})


def test_what_was_heard_of_the_time_is_remembered_over_a_power_cut(
    device: Device, repo: RepositorySimulator
) -> None:
    repo.now += OVER
    repo.time = lambda: repo.now
    order(device, 2)
    device.later, repo.time = CLOCKS["1970"], None
    device.reboot()
    order(device, 2)
    assert (device.good("digits"), codes(device)) == (1, {"expired"})


def test_a_board_without_a_clock_and_without_a_console_s_time_is_not_locked_out(
    device: Device,
) -> None:
    device.later = CLOCKS["1970"]
    device.reboot()
    order(device, 2)
    assert (device.good("digits"), device.clock.source) == (2, "floor-only")


def test_a_clock_far_ahead_lasts_until_the_console_answers(
    device: Device, repo: RepositorySimulator
) -> None:
    device.later = CLOCKS["ahead"]
    device.reboot()
    order(device, 2)
    assert (device.good("digits"), codes(device)) == (1, {"expired"})
    repo.time = lambda: repo.now
    order(device, 2)
    assert device.good("digits") == 2
    assert device.clock.floor < NOW + timedelta(days=1), "a wrong clock is not remembered"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "time"])
def test_a_stolen_key_that_says_2099_is_forgotten_with_its_root(board: Device, role: str) -> None:
    """It locks out for as long as root names it, lets nothing in, and leaves nothing behind."""
    repo = board.repo
    if role == "time":
        repo.time = lambda: THIEVES
    else:
        steal(repo, role)
    order(board, 2)
    held = board.good("digits")
    repo.time = lambda: repo.now
    order(board, 3)
    assert (board.good("digits"), codes(board)) == (held, {"expired"})
    writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
    writer.renew(repo.folder, online=repo.online, now=repo.now)
    order(board, 3)
    assert board.good("digits") == 3
    assert board.clock.now() < NOW + timedelta(days=1)


def steal(repo: RepositorySimulator, role: str) -> None:
    """Sign, with the stolen key, metadata that says it is of 2099; all other is of today."""
    if role == "snapshot":
        writer.renew(repo.folder, online=repo.online, now=THIEVES)
    timestamp: Metadata[Timestamp] = Metadata.from_bytes(repo.read(TIMESTAMP))
    when = NOW if role == "snapshot" else THIEVES
    timestamp.signed.version += 1
    timestamp.signed.expires = when + timedelta(days=14)
    timestamp.signed.unrecognized_fields["x-issued"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    timestamp.sign(load_signer(repo.online / "timestamp.pem"))
    (repo.folder / TIMESTAMP).write_bytes(timestamp.to_bytes())
