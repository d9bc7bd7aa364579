"""What clocks and thieves can do about time and versions, and the way out; and hash bins.

The client and the trusted clock on a real repository over real HTTP.
"""

import contextlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from littoral.errors import ExpiredError, UnreachableError
from littoral.trust import rules, writer
from littoral.trust.client import Client, bootstrap
from littoral.trust.clock import BUILT, TrustedClock
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import sign_time
from littoral.trust.repository import Repository
from simulators.repository import RepositorySimulator

DIGITS = "bundles/digits/{}/manifest.json"
TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path / "publisher") as simulator:
        simulator.publish(simulator.bundle("digits", 1))
        yield simulator


@pytest.fixture
def folder(tmp_path: Path, repo: RepositorySimulator) -> Path:
    """A device's metadata, which believes release 1."""
    bootstrap(tmp_path / "device", repo.root)
    ask(tmp_path / "device", repo, 1)
    return tmp_path / "device"


def ask(folder: Path, repo: RepositorySimulator, release: int) -> None:
    client = Client(folder, repo.fetch, now=repo.now)
    client.refresh()
    assert client.lookup(DIGITS.format(release)) is not None


def nobody(name: str, *, limit: int) -> bytes:
    raise UnreachableError(f"{name}: nobody answers (at most {limit} bytes)")


YEAR = timedelta(days=365)
SYSTEMS = {
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "build": BUILT,
    "true": None,
    "ahead": timedelta(days=5 * 365),
    "behind": timedelta(days=-400),
}


class Board:
    """A device whose system clock is wrong, and perhaps was told the time."""

    def __init__(self, tmp_path: Path, repo: RepositorySimulator, system: str) -> None:
        self.path, self.repo, self.up_s = tmp_path / "clock.json", repo, 0.0
        self.true, self._system = repo.now, SYSTEMS[system]
        self.boot()

    def system(self) -> datetime:
        match self._system:
            case datetime() as fixed:
                return fixed + timedelta(seconds=self.up_s)
            case timedelta() as off:
                return self.true + off
            case None:
                return self.true

    def boot(self) -> None:
        self.clock = TrustedClock(self.path, system=self.system, boottime=lambda: self.up_s)

    def wait(self, passed: timedelta) -> None:
        self.true += passed
        self.up_s += passed.total_seconds()

    def ask(self) -> None:
        """Hear the time from the console, signed for a nonce."""
        signer = load_signer(self.repo.online / "time.pem")
        signed = sign_time(signer, "n", utc_ms=round(self.true.timestamp() * 1000))
        self.clock.answer(signed, "n", rtt_s=0.0, anchors=self.repo.anchors)


@pytest.fixture(params=SYSTEMS)
def board(tmp_path: Path, repo: RepositorySimulator, request: pytest.FixtureRequest) -> Board:
    return Board(tmp_path, repo, request.param)


def test_whatever_the_clock_says_fresh_metadata_is_taken_once_a_nonce_was_answered(
    folder: Path, repo: RepositorySimulator, board: Board
) -> None:
    board.ask()
    Client(folder, repo.fetch, now=board.clock.under).refresh()
    board.wait(timedelta(days=13))
    Client(folder, repo.fetch, now=board.clock.under).refresh()


def test_whatever_the_clock_says_expired_metadata_is_refused_once_a_nonce_was_answered(
    folder: Path, repo: RepositorySimulator, board: Board
) -> None:
    """A mirror that is frozen; and the power is cut, and nobody answers any more."""
    board.wait(timedelta(days=15))
    board.ask()
    with pytest.raises(ExpiredError):
        Client(folder, repo.fetch, now=board.clock.under).refresh()
    board.up_s = 0.0
    board.boot()
    with pytest.raises(ExpiredError):
        Client(folder, repo.fetch, now=board.clock.under).refresh()


def test_a_clock_that_steps_back_while_it_runs_lets_nothing_in(
    folder: Path, repo: RepositorySimulator, tmp_path: Path
) -> None:
    board = Board(tmp_path, repo, "true")
    board.ask()
    board.wait(timedelta(days=15))
    board._system = SYSTEMS["1970"]
    with pytest.raises(ExpiredError):
        Client(folder, repo.fetch, now=board.clock.under).refresh()


def test_a_clock_five_years_ahead_lasts_until_the_console_answers(
    folder: Path, repo: RepositorySimulator, tmp_path: Path
) -> None:
    board = Board(tmp_path, repo, "ahead")
    with pytest.raises(ExpiredError):
        Client(folder, repo.fetch, now=board.clock.under).refresh()
    board.ask()
    Client(folder, repo.fetch, now=board.clock.under).refresh()
    board.boot()
    assert board.clock.floor < repo.now + timedelta(days=1), "a wrong clock is not remembered"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "time"])
def test_a_stolen_key_that_claims_2099_is_forgotten_with_its_root(
    folder: Path, repo: RepositorySimulator, board: Board, role: str
) -> None:
    """Signed metadata that says it was signed in 2099, or an answer that says it is 2099."""
    late = datetime(2099, 1, 1, tzinfo=UTC)
    honest = repo.read(TIMESTAMP)
    if role == "time":
        board.true, true = late, board.true
        board.ask()
        board.true = true
    else:
        signed = Metadata[Timestamp].from_bytes(honest)
        keyid = Repository(repo.folder).root().roles[role].keyids[0]
        signed.signed.expires = late + YEAR
        signed.signed.unrecognized_fields["x-issued"] = "2099-01-01T00:00:00Z"
        assert rules.issued(signed.signed) == late
        board.clock.raise_floor(late, keyid)
    with pytest.raises(ExpiredError):
        Client(folder, repo.fetch, now=board.clock.under).refresh()
    writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
    repo.renew()
    client = Client(folder, repo.fetch, now=board.clock.under)
    with contextlib.suppress(ExpiredError):  # of a system clock that is ahead by itself
        client.refresh()
    board.ask()
    Client(folder, repo.fetch, now=board.clock.under).refresh()
    assert board.clock.now() < repo.now + timedelta(days=1)


# Fast forward of what is not signed online.


@pytest.mark.parametrize("role", ["targets", "digits"])
def test_a_stolen_offline_key_that_counted_far_ahead_is_recovered_from(
    folder: Path, repo: RepositorySimulator, tmp_path: Path, role: str
) -> None:
    """Its versions stand in the snapshot: a new key for it and for snapshot, and they are gone."""
    ask(folder, repo, 1)
    shutil.copytree(repo.folder, tmp_path / "honest")
    thief = Repository(repo.folder).newest(Targets, role)
    assert thief is not None
    thief.signed.version = 2**31
    thief.signatures.clear()
    name = f"{role}-1.pem"
    thief.sign(load_signer(repo.offline / name))
    (repo.folder / "metadata" / f"{2**31}.{role}.json").write_bytes(thief.to_bytes())
    repo.renew()
    ask(folder, repo, 1)
    shutil.rmtree(repo.folder)
    shutil.copytree(tmp_path / "honest", repo.folder)
    for lost in (role, "snapshot"):
        writer.rotate(repo.folder, lost, offline=repo.offline, online=repo.online, now=repo.now)
    repo.publish(repo.bundle("digits", 2))
    ask(folder, repo, 2)


# Hash bins.


def test_a_thousand_targets_in_bins_cost_one_bin(tmp_path: Path) -> None:
    """Succinct bins, as another publisher may use: only the bin of the path is read and kept."""
    base = tmp_path / "publisher"
    with RepositorySimulator(base) as repo:
        key = load_signer(repo.offline / "targets-1.pem")
        succinct = SuccinctRoles([key.public_key.keyid], 1, 4, "bin")
        top = Repository(repo.folder).newest(Targets, "targets")
        assert top is not None
        top.signed.delegations = Delegations(
            {key.public_key.keyid: key.public_key}, succinct_roles=succinct
        )
        top.signed.version += 1
        bins = {
            name: Metadata(Targets(expires=top.signed.expires)) for name in succinct.get_roles()
        }
        for n in range(1000):
            path = f"bundles/m{n}/1/manifest.json"
            bins[succinct.get_role_for_target(path)].signed.targets[path] = TargetFile.from_data(
                path, path.encode()
            )
        astray = "bundles/astray/1/manifest.json"
        home = succinct.get_role_for_target(astray)
        wrong = next(name for name in bins if name != home)
        bins[wrong].signed.targets[astray] = TargetFile.from_data(astray, b"by the wrong bin")
        signed = {**bins, "targets": top}
        for name, metadata in signed.items():
            metadata.signatures.clear()
            metadata.sign(key)
            data = metadata.to_bytes()
            (repo.folder / "metadata" / f"{metadata.signed.version}.{name}.json").write_bytes(data)
        _name_all(repo, signed)
        (tmp_path / "held").mkdir()
        bootstrap(tmp_path / "held", repo.root)
        client = Client(tmp_path / "held", repo.fetch, now=repo.now)
        client.refresh()
        repo.requests.clear()
        found = client.lookup("bundles/m7/1/manifest.json")
        assert found is not None
        assert found[1] == succinct.get_role_for_target("bundles/m7/1/manifest.json")
        assert [name for name, _ in repo.requests] == [f"metadata/1.{found[1]}.json"]
        assert client.lookup(astray) is None, "a bin speaks of its own paths alone"
        offline = Client(tmp_path / "held", nobody, now=repo.now)
        offline.recall()
        assert offline.lookup("bundles/m7/1/manifest.json") == found


def _name_all(repo: RepositorySimulator, signed: dict[str, Metadata[Targets]]) -> None:
    """Sign snapshot and timestamp of all that is in ``signed``."""
    metadata = repo.folder / "metadata"
    meta = {}
    for name, one in signed.items():
        data = (metadata / f"{one.signed.version}.{name}.json").read_bytes()
        meta[f"{name}.json"] = MetaFile(one.signed.version, length=len(data))
    snapshot = Metadata(Snapshot(version=7, expires=repo.now + YEAR, meta=meta))
    snapshot.sign(load_signer(repo.online / "snapshot.pem"))
    data = snapshot.to_bytes()
    (metadata / "7.snapshot.json").write_bytes(data)
    timestamp = Metadata(
        Timestamp(version=7, expires=repo.now + YEAR, snapshot_meta=MetaFile(7, length=len(data)))
    )
    timestamp.sign(load_signer(repo.online / "timestamp.pem"))
    (metadata / "timestamp.json").write_bytes(timestamp.to_bytes())
