"""Keys are replaced and lives lengthened; devices follow (test_trust_client says so)."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from tuf.api.metadata import Root

from littoral.errors import MisuseError, RollbackError
from littoral.trust import writer
from littoral.trust.keyfiles import load_signer
from littoral.trust.repository import Repository
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as simulator:
        simulator.publish(simulator.bundle("digits", 1))
        yield simulator


def rotate(repo: RepositorySimulator, role: str, key: str | None = None) -> writer.Rotated:
    done = writer.rotate(
        repo.folder, role, offline=repo.offline, online=repo.online, key=key, now=repo.now
    )
    repo.renew()
    writer.verify(repo.folder, now=repo.now)
    return done


def root(repo: RepositorySimulator) -> Root:
    return Repository(repo.folder).root()


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_the_old_key_is_trusted_no_more(repo: RepositorySimulator, role: str) -> None:
    done = rotate(repo, role)
    assert root(repo).roles[role].keyids == [done.new]
    assert done.old not in root(repo).keys
    assert load_signer(done.path).public_key.keyid == done.new


@pytest.mark.parametrize("role", ["director", "time"])
def test_what_root_anchors_is_replaced(repo: RepositorySimulator, role: str) -> None:
    done = rotate(repo, role)
    keys = repo.anchors.director if role == "director" else repo.anchors.time
    assert list(keys) == [done.new]
    assert done.path == repo.online / f"{role}.pem"
    assert load_signer(repo.online / f"{role}.old.pem").public_key.keyid == done.old


def test_a_model_s_key_is_replaced_and_its_releases_stay(repo: RepositorySimulator) -> None:
    done = rotate(repo, "digits")
    rows = {row.role: row for row in writer.status(repo.folder, now=repo.now)}
    assert rows["digits"].keyids == (done.new,)
    assert rows["digits"].releases == (1,)
    (repo.offline / "digits-1.pem").unlink()
    repo.publish(repo.bundle("digits", 2))


@pytest.mark.parametrize("role", ["targets", "digits"])
def test_a_key_that_is_lost_is_replaced_without_it(repo: RepositorySimulator, role: str) -> None:
    (repo.offline / f"{role}-1.pem").unlink()
    rotate(repo, role)
    repo.publish(repo.bundle("digits", 2))


def test_a_root_key_is_replaced_by_the_other_two(repo: RepositorySimulator) -> None:
    lost = load_signer(repo.offline / "root-2.pem").public_key.keyid
    (repo.offline / "root-2.pem").unlink()
    with pytest.raises(MisuseError, match="--key"):
        rotate(repo, "root")
    with pytest.raises(MisuseError, match="--key"):
        rotate(repo, "root", key="nonsense")
    done = rotate(repo, "root", key=lost)
    assert done.old == lost
    assert done.path.name == "root-2.pem"
    assert set(root(repo).roles["root"].keyids) >= {done.new}
    assert len(root(repo).roles["root"].keyids) == 3


def test_two_lost_root_keys_cannot_be_replaced(repo: RepositorySimulator) -> None:
    lost = load_signer(repo.offline / "root-2.pem").public_key.keyid
    for name in ("root-2", "root-3"):
        (repo.offline / f"{name}.pem").unlink()
    with pytest.raises(MisuseError, match="expected 2 of the 3"):
        rotate(repo, "root", key=lost)


def test_the_console_s_keys_need_its_folder(repo: RepositorySimulator) -> None:
    with pytest.raises(MisuseError, match="--online"):
        writer.rotate(repo.folder, "time", offline=repo.offline)


def test_an_unknown_role_is_named(repo: RepositorySimulator) -> None:
    with pytest.raises(MisuseError, match="the models are: digits"):
        rotate(repo, "birds")


def test_extending_signs_everything_for_its_full_life(repo: RepositorySimulator) -> None:
    repo.now += timedelta(days=300)
    writer.extend(repo.folder, offline=repo.offline, now=repo.now)
    repo.renew()
    rows = {row.role: row.days_left for row in writer.verify(repo.folder, now=repo.now)}
    assert (rows["root"], rows["targets"], rows["digits"]) == (3 * 365, 365, 365)


def test_a_floor_never_falls(repo: RepositorySimulator) -> None:
    floor = partial(writer.raise_floor, repo.folder, offline=repo.offline, now=repo.now)
    floor("digits", floor=3, force=True)
    with pytest.raises(RollbackError):
        floor("digits", floor=2)
    with pytest.raises(MisuseError):
        floor("birds", floor=2)
