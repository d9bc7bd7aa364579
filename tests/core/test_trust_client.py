"""The client on a real repository over real HTTP: honest, dishonest and cut off."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral.errors import (
    EndlessError,
    ExpiredError,
    ForgottenError,
    HashError,
    LittoralError,
    MalformedError,
    RollbackError,
    SignatureError,
    TrustError,
    UnreachableError,
)
from littoral.trust import writer
from littoral.trust.client import Client, bootstrap
from littoral.trust.clock import TrustedClock
from simulators.disk import Disk
from simulators.repository import Fault, RepositorySimulator

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
    client = Client(tmp_path / "device", repo.fetch, now=repo.now)
    client.refresh()
    assert client.lookup(DIGITS.format(1)) is not None
    return tmp_path / "device"


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def nobody(name: str, *, limit: int) -> bytes:
    raise UnreachableError(f"{name}: nobody answers (at most {limit} bytes)")


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def ask(
    folder: Path, repo: RepositorySimulator, release: int, *, now: datetime | None = None
) -> str:
    client = Client(folder, repo.fetch, now=now or repo.now)
    client.refresh()
    found = client.lookup(DIGITS.format(release))
    assert found is not None
    return found[0].hashes["sha256"]


def test_it_finds_what_was_published(folder: Path, repo: RepositorySimulator) -> None:
    published = repo.publish(repo.bundle("digits", 2))
    client = Client(folder, repo.fetch, now=repo.now)
    client.refresh()
    target, role = client.lookup(DIGITS.format(2)) or pytest.fail("not found")
    assert (target.hashes["sha256"], role) == (published.manifest_sha256, "digits")
    data = repo.fetch(client.remote_name(target), limit=target.length)
    assert len(data) == published.length
    assert client.lookup(DIGITS.format(3)) is None
    assert client.lookup("bundles/birds/1/manifest.json") is None


def test_a_refresh_that_brings_nothing_new_asks_twice(
    folder: Path, repo: RepositorySimulator
) -> None:
    repo.requests.clear()
    ask(folder, repo, 1)
    assert [name for name, _ in repo.requests] == ["metadata/2.root.json", TIMESTAMP]


def test_the_files_are_the_bytes_that_arrived(folder: Path, repo: RepositorySimulator) -> None:
    assert held(folder) == {
        "root.json": repo.root,
        "timestamp.json": repo.read(TIMESTAMP),
        "snapshot.json": repo.read("metadata/2.snapshot.json"),
        "targets.json": repo.read("metadata/2.targets.json"),
        "digits.json": repo.read("metadata/2.digits.json"),
    }


def test_a_root_that_is_held_is_never_replaced(folder: Path, tmp_path: Path) -> None:
    with RepositorySimulator(tmp_path / "stranger") as stranger:
        before = held(folder)
        bootstrap(folder, stranger.root)
        assert held(folder) == before


def test_a_first_root_is_the_one_whose_digest_was_handed_over(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    with pytest.raises(HashError):
        bootstrap(tmp_path / "new", repo.root, sha256="0" * 64)
    with pytest.raises(MalformedError):
        bootstrap(tmp_path / "new", b"<html>")
    assert not (tmp_path / "new").exists()
    with pytest.raises(TrustError, match="enrol"):
        Client(tmp_path / "new", repo.fetch, now=repo.now)


def test_what_may_not_be_asked_before_a_refresh(folder: Path) -> None:
    client = Client(folder, nobody, now=datetime.now(UTC))
    with pytest.raises(ValueError, match="refresh"):
        client.lookup(DIGITS.format(1))


# Dishonest repositories: refused for the right reason, and what was believed stays.

ATTACKS = [
    (TIMESTAMP, Fault.FLIPPED_BIT, (MalformedError, SignatureError)),
    (TIMESTAMP, Fault.TRUNCATED, (MalformedError,)),
    (TIMESTAMP, Fault.ENDLESS, (EndlessError,)),
    (TIMESTAMP, Fault.NOT_FOUND, (ForgottenError,)),
    (TIMESTAMP, Fault.BROKEN, (UnreachableError,)),
    (TIMESTAMP, Fault.CUT, (UnreachableError,)),
    ("metadata/*.snapshot.json", Fault.FLIPPED_BIT, (HashError,)),
    ("metadata/*.snapshot.json", Fault.TRUNCATED, (HashError,)),
    ("metadata/*.snapshot.json", Fault.ENDLESS, (EndlessError,)),
    ("metadata/*.snapshot.json", Fault.FORBIDDEN, (ForgottenError,)),
    ("metadata/*.digits.json", Fault.FLIPPED_BIT, (HashError,)),
    ("metadata/*.digits.json", Fault.ENDLESS, (EndlessError,)),
    ("metadata/*.digits.json", Fault.CUT, (UnreachableError,)),
    ("metadata/*.root.json", Fault.BROKEN, (UnreachableError,)),
]


@pytest.mark.parametrize(("name", "fault", "errors"), ATTACKS)
def test_a_bad_answer_is_refused_and_changes_nothing(
    folder: Path,
    repo: RepositorySimulator,
    name: str,
    fault: Fault,
    errors: tuple[type[LittoralError], ...],
) -> None:
    repo.publish(repo.bundle("digits", 2))
    repo.sent.clear()
    before = held(folder)
    repo.fault(name, fault)
    with pytest.raises(errors):
        ask(folder, repo, 2)
    assert held(folder)["digits.json"] == before["digits.json"]
    repo.honest()
    ask(folder, repo, 2)


def test_arbitrary_bytes_are_malformed(folder: Path, repo: RepositorySimulator) -> None:
    before = held(folder)
    for junk in (b"", b"\0" * 100, b"[]", b"{}", b'{"signed":{}}', b"[" * 10_000, b'"\xff"'):
        repo.override[TIMESTAMP] = junk
        with pytest.raises(MalformedError):
            ask(folder, repo, 1)
    assert held(folder) == before


def test_a_key_that_stands_twice_is_refused(folder: Path, repo: RepositorySimulator) -> None:
    genuine = repo.read(TIMESTAMP)
    repo.override[TIMESTAMP] = genuine.replace(b'{"signatures"', b'{"signatures":[],"signatures"')
    with pytest.raises(MalformedError, match="twice"):
        ask(folder, repo, 1)


def test_a_replayed_timestamp_is_a_rollback(folder: Path, repo: RepositorySimulator) -> None:
    old = repo.read(TIMESTAMP)
    repo.publish(repo.bundle("digits", 2))
    ask(folder, repo, 2)
    repo.override[TIMESTAMP] = old
    with pytest.raises(RollbackError):
        ask(folder, repo, 2)


def test_old_metadata_under_a_new_name_is_not_what_was_signed(
    folder: Path, repo: RepositorySimulator
) -> None:
    """Mix and match: genuine files that were never published together."""
    old = repo.read("metadata/2.digits.json")
    repo.publish(repo.bundle("digits", 2))
    repo.override["metadata/3.digits.json"] = old
    with pytest.raises(HashError):
        ask(folder, repo, 2)


def test_a_strangers_signature_is_refused_though_the_online_keys_vouch_for_it(
    folder: Path, repo: RepositorySimulator
) -> None:
    repo.publish(repo.bundle("digits", 2))
    repo.sign_as_stranger("metadata/3.digits.json")
    with pytest.raises(SignatureError):
        ask(folder, repo, 2)
    repo.honest()
    ask(folder, repo, 2)


def test_endless_data_is_read_up_to_the_cap_and_a_little(
    folder: Path, repo: RepositorySimulator
) -> None:
    repo.fault(TIMESTAMP, Fault.ENDLESS)
    with pytest.raises(EndlessError):
        ask(folder, repo, 1)


def test_a_stated_length_above_the_cap_is_refused_before_it_is_read(
    folder: Path, repo: RepositorySimulator
) -> None:
    from securesystemslib.signer import Signer
    from tuf.api.metadata import Metadata, Timestamp

    from littoral.trust.keyfiles import load_signer

    signer: Signer = load_signer(repo.online / "timestamp.pem")
    timestamp: Metadata[Timestamp] = Metadata.from_bytes(repo.read(TIMESTAMP))
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta.version += 1
    timestamp.signed.snapshot_meta.length = 3_000_000
    timestamp.sign(signer)
    repo.override[TIMESTAMP] = timestamp.to_bytes()
    repo.requests.clear()
    with pytest.raises(EndlessError):
        ask(folder, repo, 1)
    assert not any("snapshot" in name for name, _ in repo.requests)


def test_a_role_that_vanishes_from_the_snapshot_is_a_rollback(
    folder: Path, repo: RepositorySimulator, tmp_path: Path
) -> None:
    """A console that was set back to before the model existed, and counted on."""
    backup = tmp_path / "backup"
    shutil.copytree(repo.folder, backup)
    for path in (backup / "metadata").glob("*.digits.json"):
        path.unlink()
    (backup / "metadata" / "2.targets.json").unlink()
    shutil.rmtree(repo.folder)
    shutil.copytree(backup, repo.folder)
    repo.renew()
    with pytest.raises(RollbackError):
        ask(folder, repo, 1)


# Time.


def test_every_role_expires(folder: Path, repo: RepositorySimulator) -> None:
    for days, role in ((15, "timestamp"), (366, "timestamp"), (4 * 365, "root")):
        with pytest.raises(ExpiredError, match=role):
            ask(folder, repo, 1, now=repo.now + timedelta(days=days))


def test_a_model_that_was_not_signed_for_a_year_expires(
    folder: Path, repo: RepositorySimulator
) -> None:
    repo.now += timedelta(days=366)
    repo.renew()
    with pytest.raises(ExpiredError, match="targets"):
        ask(folder, repo, 1)
    writer.extend(repo.folder, offline=repo.offline, now=repo.now)
    repo.renew()
    ask(folder, repo, 1)


def test_a_board_that_thinks_it_is_1970_is_not_locked_out(
    folder: Path, repo: RepositorySimulator, tmp_path: Path
) -> None:
    clock = TrustedClock(tmp_path / "clock.json", system=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    client = Client(folder, repo.fetch, now=clock.under)
    client.refresh()
    for keyid, when in client.issued().items():
        clock.raise_floor(when, keyid)
    assert clock.now() == repo.now.replace(microsecond=0)


# Offline.


def test_a_complete_cache_answers_without_a_network(
    folder: Path, repo: RepositorySimulator
) -> None:
    client = Client(folder, nobody, now=repo.now)
    with pytest.raises(UnreachableError):
        client.refresh()
    client.recall()
    assert client.lookup(DIGITS.format(1)) is not None
    assert client.lookup(DIGITS.format(2)) is None
    assert client.floor("digits") == 0


def test_a_cache_that_is_not_complete_says_so(tmp_path: Path, repo: RepositorySimulator) -> None:
    bootstrap(tmp_path / "new", repo.root)
    client = Client(tmp_path / "new", nobody, now=repo.now)
    with pytest.raises(UnreachableError, match="reached once"):
        client.recall()
    with pytest.raises(ValueError, match="refresh"):
        client.lookup(DIGITS.format(1))


def test_what_is_held_expires_offline_too(folder: Path, repo: RepositorySimulator) -> None:
    client = Client(folder, nobody, now=repo.now + timedelta(days=15))
    with pytest.raises(ExpiredError):
        client.recall()
    (folder / "digits.json").unlink()
    client = Client(folder, nobody, now=repo.now)
    client.recall()
    with pytest.raises(UnreachableError):
        client.lookup(DIGITS.format(1))


def test_a_model_that_expired_is_expired_offline_too(
    folder: Path, repo: RepositorySimulator
) -> None:
    repo.now += timedelta(days=366)
    repo.renew()
    with pytest.raises(ExpiredError):
        ask(folder, repo, 1)
    client = Client(folder, nobody, now=repo.now)
    client.recall()
    with pytest.raises(ExpiredError):
        client.lookup(DIGITS.format(1))


def test_a_cache_that_was_tampered_with_is_not_believed(
    folder: Path, repo: RepositorySimulator
) -> None:
    for name, data in held(folder).items():
        if name != "root.json":
            (folder / name).write_bytes(data.replace(b"version", b"verslon"))
    client = Client(folder, nobody, now=repo.now)
    with pytest.raises(UnreachableError):
        client.recall()
    ask(folder, repo, 1)


# Keys that are lost or stolen.


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_stolen_online_key_that_counted_far_ahead_is_forgotten_with_its_root(
    folder: Path, repo: RepositorySimulator, role: str
) -> None:
    """Fast forward: version 2^31 would lock every device out for ever."""
    honest = repo.read(TIMESTAMP)
    writer.renew(repo.folder, online=repo.online, now=repo.now, least=2**31)
    ask(folder, repo, 1)
    for path in repo.folder.glob(f"metadata/{2**31}.snapshot.json"):
        path.unlink()
    (repo.folder / TIMESTAMP).write_bytes(honest)
    with pytest.raises(RollbackError):
        ask(folder, repo, 1)
    writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
    repo.renew()
    ask(folder, repo, 1)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "digits", "time", "director"])
def test_every_key_can_be_replaced_and_devices_follow(
    folder: Path, repo: RepositorySimulator, role: str
) -> None:
    writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
    repo.publish(repo.bundle("digits", 2))
    ask(folder, repo, 2)


def test_a_root_signed_by_one_of_two_is_refused(folder: Path, repo: RepositorySimulator) -> None:
    for name in ("root-2", "root-3"):
        (repo.offline / f"{name}.pem").rename(repo.base / f"{name}.pem")
    with pytest.raises(LittoralError, match="expected 2 of the 3"):
        writer.extend(repo.folder, offline=repo.offline, now=repo.now)
    for name in ("root-2", "root-3"):
        (repo.base / f"{name}.pem").rename(repo.offline / f"{name}.pem")
    writer.extend(repo.folder, offline=repo.offline, now=repo.now)
    from tuf.api.metadata import Metadata, Root

    path = repo.folder / "metadata" / "2.root.json"
    root: Metadata[Root] = Metadata.from_bytes(path.read_bytes())
    for keyid in list(root.signatures)[1:]:
        del root.signatures[keyid]
    repo.override["metadata/2.root.json"] = root.to_bytes()
    with pytest.raises(SignatureError, match="found 1"):
        ask(folder, repo, 1)
    assert held(folder)["root.json"] == repo.root


def test_what_a_revoked_key_said_about_the_time_is_forgotten_before_expiry_is_judged(
    folder: Path, repo: RepositorySimulator, tmp_path: Path
) -> None:
    clock = TrustedClock(tmp_path / "clock.json", system=lambda: repo.now)
    stolen = next(iter(repo.anchors.time))
    clock.raise_floor(datetime(2100, 1, 1, tzinfo=UTC), stolen)
    with pytest.raises(ExpiredError):
        Client(folder, repo.fetch, now=clock.under).refresh()
    writer.rotate(repo.folder, "time", offline=repo.offline, online=repo.online, now=repo.now)
    repo.renew()
    Client(folder, repo.fetch, now=clock.under).refresh()
    assert clock.now() == repo.now


# Power cuts.


@pytest.mark.parametrize("keeps", ["all", "synced", "names"])
def test_power_may_be_cut_at_any_write(
    tmp_path: Path, repo: RepositorySimulator, folder: Path, keeps: str
) -> None:
    """For every n: it wakes, believes nothing older than before, and comes to the newest."""
    replayed = repo.read(TIMESTAMP)
    repo.renew()
    ask(folder, repo, 1)
    writer.rotate(repo.folder, "snapshot", offline=repo.offline, online=repo.online, now=repo.now)
    newest = repo.publish(repo.bundle("digits", 2))
    for n in itertools.count():
        device = tmp_path / f"cut-{n}"
        shutil.copytree(folder, device)
        with Disk(device, cut_at=n, keeps=keeps) as disk:  # type: ignore[arg-type]
            ask(device, repo, 2)
        woken = Client(device, repo.fetch, now=repo.now)
        assert {path.suffix for path in device.iterdir()} == {".json"}
        if woken.root.version == 1:
            repo.override[TIMESTAMP] = replayed
            repo.fault("metadata/2.root.json", Fault.NOT_FOUND)
            if (device / "timestamp.json").exists():
                with pytest.raises(RollbackError):
                    woken.refresh()
            repo.honest()
        assert ask(device, repo, 2) == newest.manifest_sha256
        if not disk.was_cut:
            break
    assert n > 15


@pytest.mark.parametrize("keeps", ["all", "synced"])
def test_power_may_be_cut_while_a_stolen_key_is_forgotten(
    tmp_path: Path, repo: RepositorySimulator, folder: Path, keeps: str
) -> None:
    """Were the new root kept before the old timestamp is gone, it would be stuck for ever."""
    honest = repo.read(TIMESTAMP)
    writer.renew(repo.folder, online=repo.online, now=repo.now, least=2**31)
    ask(folder, repo, 1)
    (repo.folder / "metadata" / f"{2**31}.snapshot.json").unlink()
    (repo.folder / TIMESTAMP).write_bytes(honest)
    writer.rotate(repo.folder, "snapshot", offline=repo.offline, online=repo.online, now=repo.now)
    repo.renew()
    for n in itertools.count():
        device = tmp_path / f"cut-{n}"
        shutil.copytree(folder, device)
        with Disk(device, cut_at=n, keeps=keeps) as disk:  # type: ignore[arg-type]
            ask(device, repo, 1)
        ask(device, repo, 1)
        if not disk.was_cut:
            break
    assert n > 10


def test_a_full_disk_loses_nothing(
    folder: Path, repo: RepositorySimulator, small_disk: Path
) -> None:
    device = small_disk / "device"
    shutil.copytree(folder, device)
    fill(small_disk / "filler")
    repo.publish(repo.bundle("digits", 2))
    with pytest.raises(LittoralError) as refused:
        ask(device, repo, 2)
    assert refused.value.code == "disk-full"
    (small_disk / "filler").unlink()
    ask(device, repo, 2)


# Delegations.


def test_a_floor_is_what_the_models_role_states(folder: Path, repo: RepositorySimulator) -> None:
    writer.raise_floor(repo.folder, "digits", floor=1, offline=repo.offline, now=repo.now)
    repo.publish(repo.bundle("birds", 3), floor=2)
    client = Client(folder, repo.fetch, now=repo.now)
    client.refresh()
    assert [client.floor(model) for model in ("digits", "birds", "fish")] == [1, 2, 0]


def test_a_model_may_not_speak_of_another(folder: Path, repo: RepositorySimulator) -> None:
    """A stolen release key of one model names releases and floors of another."""
    from tuf.api.metadata import Metadata, Targets

    from littoral.trust.keyfiles import load_signer

    repo.publish(repo.bundle("birds", 3))
    path = repo.folder / "metadata" / "2.birds.json"
    birds: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    target = birds.signed.targets.pop("bundles/birds/3/manifest.json")
    target.path = DIGITS.format(9)
    birds.signed.targets[target.path] = target
    birds.signed.unrecognized_fields["x-floors"] = {"digits": 99}
    birds.sign(load_signer(repo.offline / "birds-1.pem"))
    path.write_bytes(birds.to_bytes())
    repo._vouch(path)
    client = Client(folder, repo.fetch, now=repo.now)
    client.refresh()
    assert client.lookup(DIGITS.format(9)) is None
    assert client.floor("digits") == 0
