"""What the console adopts of what it is sent, what it refuses, and what a kill leaves."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from tuf.api.metadata import Metadata, Targets, Timestamp

from littoral import durable
from littoral.bundle.manifest import Encoding
from littoral.errors import (
    EndlessError,
    ForgottenError,
    HashError,
    LittoralError,
    MalformedError,
    MixError,
    RollbackError,
    SignatureError,
    StorageError,
)
from littoral.trust import writer
from littoral.trust.keyfiles import load_signer
from littoral.trust.publishing import Encoded
from littoral.trust.repository import Repository
from littoral_console import uploads
from littoral_console.blobs import Folder
from littoral_console.context import system_clock
from littoral_console.keys import OnlineKeys
from littoral_console.repository import ImageRepository
from littoral_console.uploading import upload
from littoral_console.uploads import Offer
from littoral_converter.encoding import Encoder
from simulators.console import ConsoleProcess
from simulators.disk import Disk
from simulators.repository import RepositorySimulator


@pytest.fixture
def publisher(console: ConsoleProcess, tmp_path: Path) -> RepositorySimulator:
    """A publisher that has what the console has, in a copy that the test may spoil."""
    return copy_of(console, tmp_path)


def copy_of(console: ConsoleProcess, tmp_path: Path) -> RepositorySimulator:
    found = console.publisher
    shutil.copytree(console.data / "repo", tmp_path / "repo")
    copy = object.__new__(RepositorySimulator)
    copy.__dict__.update({**found.__dict__, "base": tmp_path, "folder": tmp_path / "repo"})
    return copy


def send(console: ConsoleProcess, publisher: RepositorySimulator) -> list[str]:
    """Upload; return the names of the releases that are new."""
    found = upload(console.rest, publisher.folder, quiet=True)["releases"]
    return [f"{r['model']}:{r['release']}" for r in found]


def held(console: ConsoleProcess) -> list[str]:
    return [f"{r['model']}:{r['release']}" for r in console.rest.get("releases", model="digits")]


@pytest.fixture
def unchanged(console: ConsoleProcess) -> Iterator[None]:
    """Whatever is refused leaves the console as it was."""
    before = held(console), _timestamp(console)
    yield
    assert (held(console), _timestamp(console)) == before
    writer.verify(console.data / "repo", now=datetime.now(UTC))
    assert list((console.data / "uploads").iterdir()) == []


def _timestamp(console: ConsoleProcess) -> bytes:
    return (console.data / "repo" / "metadata" / "timestamp.json").read_bytes()


def test_a_release_is_adopted_and_signed(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    publisher.publish(publisher.bundle("letters", 4))
    assert send(console, publisher) == ["letters:4"]
    assert send(console, publisher) == []
    rows = writer.verify(console.data / "repo", now=datetime.now(UTC))
    assert {row.role for row in rows} >= {"root", "targets", "letters", "snapshot", "timestamp"}
    found = console.rest.get("releases/letters/4")
    assert found["hardware"] == ["cpu-x86_64", "cpu-aarch64", "cpu-armv7l"]
    assert found["files"][0]["sha256"]


@pytest.mark.usefixtures("unchanged")
def test_metadata_that_a_stranger_signed_is_refused(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    publisher.publish(publisher.bundle("digits", 9))
    name = max(p.name for p in (publisher.folder / "metadata").glob("*.digits.json"))
    publisher.sign_as_stranger(f"metadata/{name}")
    with pytest.raises(SignatureError, match="digits"):
        send(console, publisher)


@pytest.mark.usefixtures("unchanged")
def test_another_publishers_root_is_refused(console: ConsoleProcess, tmp_path: Path) -> None:
    stranger = RepositorySimulator(tmp_path / "stranger")
    with pytest.raises(MixError, match=r"1\.root\.json"):
        send(console, stranger)


def test_the_first_root_must_name_this_console(tmp_path: Path) -> None:
    ours, theirs = RepositorySimulator(tmp_path / "a"), RepositorySimulator(tmp_path / "b")
    with (
        ConsoleProcess(tmp_path, ours, arguments=("--broker", "none")) as console,
        pytest.raises(SignatureError, match="not this console's"),
    ):
        send(console, theirs)


@pytest.mark.usefixtures("unchanged")
def test_a_blob_that_is_another_or_missing_is_refused(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    publisher.publish(publisher.bundle("digits", 9, files={"model.tflite": b"new bytes"}))
    blob = publisher.folder / "blobs" / sha256(b"new bytes").hexdigest()
    blob.write_bytes(b"new bytez")
    with pytest.raises(HashError):
        send(console, publisher)
    blob.unlink()
    with pytest.raises(ForgottenError, match=blob.name[:8]):
        send(console, publisher)


def test_encodings_come_with_what_names_them_and_a_stray_blob_does_not(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    bundle = publisher.bundle("packed", 1, files={"model.tflite": bytes(5000)})
    publisher.publish(bundle, encode=Encoder(say=lambda _: None))
    stray = publisher.folder / "blobs" / sha256(b"stray").hexdigest()
    stray.write_bytes(b"stray")
    assert send(console, publisher) == ["packed:1"]
    encoding = packed(publisher)
    held = console.data / "repo" / "blobs"
    assert (held / encoding.sha256).stat().st_size == encoding.size
    assert not (held / stray.name).exists()
    assert upload(console.rest, publisher.folder, quiet=True)["files"] == 0  # nor is it sent


def test_an_encoding_that_is_not_sent_is_missed_by_nobody(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    """As from a stick, which carries none: devices take the files as they are."""
    bundle = publisher.bundle("thin", 1, files={"model.tflite": bytes(6000)})
    publisher.publish(bundle, encode=Encoder(say=lambda _: None))
    encoding = packed(publisher, "thin")
    blob = publisher.folder / "blobs" / encoding.sha256
    data = blob.read_bytes()
    blob.unlink()
    assert send(console, publisher) == ["thin:1"]
    (said,) = [e for e in console.rest.get("audit")["entries"] if e["subject"] == "thin:1"]
    assert said["detail"] == {"missing_encodings": 1}
    assert not (console.data / "repo" / "blobs" / blob.name).exists()
    blob.write_bytes(data)
    assert send(console, publisher) == []
    assert (console.data / "repo" / "blobs" / blob.name).read_bytes() == data


@pytest.mark.usefixtures("unchanged")
def test_an_encoding_that_is_another_is_refused(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    bundle = publisher.bundle("digits", 9, files={"model.tflite": bytes(7000)})
    publisher.publish(bundle, encode=Encoder(say=lambda _: None))
    blob = publisher.folder / "blobs" / packed(publisher, "digits", 9).sha256
    blob.write_bytes(b"another")
    with pytest.raises(HashError):
        send(console, publisher)


@pytest.mark.usefixtures("unchanged")
def test_an_encoding_of_another_length_than_is_signed_is_refused(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    lie = Encoding(kind="zstd", sha256=sha256(b"packed").hexdigest(), size=7)

    def encode(*_: object) -> Encoded:
        return Encoded(made=[("model.tflite", lie, b"packed")])

    publisher.publish(publisher.bundle("digits", 9), encode=encode)
    with pytest.raises(HashError, match="length"):
        send(console, publisher)


def packed(publisher: RepositorySimulator, model: str = "packed", release: int = 1) -> Encoding:
    repository = Repository(publisher.folder)
    held = repository.models(repository.targets(repository.root()).signed)[model]
    target = held.signed.targets[f"bundles/{model}/{release}/manifest.json"]
    (found,) = repository.read_manifest(model, target).files["model.tflite"].encodings
    return found


@pytest.mark.usefixtures("unchanged")
def test_older_metadata_than_is_held_is_refused(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    max((publisher.folder / "metadata").glob("*.digits.json")).unlink()
    older = min((console.publisher.folder / "metadata").glob("*.digits.json"))
    shutil.copy(older, publisher.folder / "metadata")
    with pytest.raises(RollbackError, match="digits"):
        send(console, publisher)


@pytest.mark.usefixtures("unchanged")
def test_a_version_that_is_held_keeps_its_bytes(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    newest = max((publisher.folder / "metadata").glob("*.digits.json"))
    newest.write_bytes(newest.read_bytes() + b"\n")
    with pytest.raises(MixError, match="other bytes"):
        send(console, publisher)


@pytest.mark.usefixtures("unchanged")
def test_a_release_that_is_held_keeps_its_bytes(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    other = publisher.bundle("digits", 9)
    publisher.publish(other)
    path = max((publisher.folder / "metadata").glob("*.digits.json"))
    metadata: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    targets = metadata.signed.targets
    targets["bundles/digits/1/manifest.json"] = targets.pop("bundles/digits/9/manifest.json")
    targets["bundles/digits/1/manifest.json"].unrecognized_fields["custom"]["release"] = 1
    metadata.sign(load_signer(publisher.offline / "digits-1.pem"))
    path.write_bytes(metadata.to_bytes())
    with pytest.raises(MixError, match="other bytes"):
        send(console, publisher)


@pytest.mark.usefixtures("unchanged")
def test_names_that_no_repository_has_are_refused(console: ConsoleProcess) -> None:
    digest = sha256(b"").hexdigest()
    for name in (
        "../keys/time.pem",
        "metadata/../x.json",
        "metadata/timestamp.json",
        "metadata/9.snapshot.json",
        "metadata/root.json",
        "blobs/short",
        "/etc/passwd",
        "targets/bundles/digits/1/manifest.json",
    ):
        body = {"files": [{"name": name, "sha256": digest, "size": 0}]}
        with pytest.raises(MalformedError):
            console.rest.post("uploads", body)
    body = {"files": [{"name": f"blobs/{'0' * 64}", "sha256": digest, "size": 0}]}
    with pytest.raises(HashError):
        console.rest.post("uploads", body)


@pytest.mark.usefixtures("unchanged")
def test_no_more_and_no_other_bytes_than_were_offered(
    console: ConsoleProcess, tmp_path: Path
) -> None:
    offered, path = b"offered", tmp_path / "sent"
    name = f"blobs/{sha256(offered).hexdigest()}"
    offer = {"name": name, "sha256": sha256(offered).hexdigest(), "size": len(offered)}
    begun = console.rest.post("uploads", {"files": [offer]})
    assert begun["missing"] == [name]
    for sent, refused in ((b"another", HashError), (b"x" * 10_000, EndlessError)):
        path.write_bytes(sent)
        with pytest.raises(refused):
            console.rest.put_file(f"uploads/{begun['id']}/files/{name}", path)
    with pytest.raises(LittoralError, match="still missing"):
        console.rest.post(f"uploads/{begun['id']}/commit")
    with pytest.raises(LittoralError, match="not missing"):
        console.rest.put_file(f"uploads/{begun['id']}/files/blobs/{'1' * 64}", path)
    console.rest.delete(f"uploads/{begun['id']}")


def test_blobs_that_nobody_names_are_not_kept(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    junk = sha256(b"junk").hexdigest()
    (publisher.folder / "blobs" / junk).write_bytes(b"junk")
    send(console, publisher)
    assert not (console.data / "repo" / "blobs" / junk).exists()


def test_the_floor_is_what_the_publisher_signed(
    console: ConsoleProcess, publisher: RepositorySimulator
) -> None:
    publisher.publish(publisher.bundle("floored", 1))
    publisher.publish(publisher.bundle("floored", 2), floor=2)
    send(console, publisher)
    assert console.rest.get("releases/floored/1")["floor"] == 2


# -- in this process: kills, time, restarts


def open_repository(base: Path, *, hours: float = 0) -> ImageRepository:
    def clock() -> int:
        return system_clock() + int(hours * 3600_000)

    keys = OnlineKeys.load(base / "online")
    return ImageRepository(base / "console", keys=keys, clock=clock)


def offered(folder: Path) -> Iterator[Offer]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name.endswith(("timestamp.json", "snapshot.json", "/root.json")):
            continue
        data = path.read_bytes()
        yield Offer(name=name, sha256=sha256(data).hexdigest(), size=len(data))


def sent_to(repository: ImageRepository, folder: Path) -> str:
    """Put everything of a publisher's folder where an upload leaves it."""
    begun = repository.begin(list(offered(folder)), who="test")
    for name in begun.missing:
        (begun.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, begun.folder / name)
    begun.arrived.update(begun.missing)
    return begun.id


async def received(repository: ImageRepository, folder: Path) -> str:
    """Send everything of a publisher's folder as the console takes it."""

    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        yield data

    begun = repository.begin(list(offered(folder)), who="test")
    for name in begun.missing:
        await uploads.receive(begun, name, chunks((folder / name).read_bytes()))
    return begun.id


@pytest.mark.parametrize("keeps", ["all", "synced"])
def test_a_cut_at_any_moment_of_an_upload_leaves_the_old_or_the_new(
    tmp_path: Path, keeps: Literal["all", "synced"]
) -> None:
    """Killed, or without power: what was never fsynced into its folder is not there then."""
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    first = open_repository(tmp_path)
    first.commit(sent_to(first, publisher.folder), known={})
    shutil.copytree(tmp_path / "console", tmp_path / "before")
    publisher.publish(publisher.bundle("digits", 2))
    seen = set()
    for n in itertools.count():
        shutil.rmtree(tmp_path / "console")
        shutil.copytree(tmp_path / "before", tmp_path / "console")
        killed = open_repository(tmp_path)
        with Disk(tmp_path / "console", cut_at=n, keeps=keeps) as disk:
            killed.commit(asyncio.run(received(killed, publisher.folder)), known={})
        admitted = open_repository(tmp_path).recover(known={})
        assert admitted is not None
        releases = {release.manifest.release for release in admitted.releases}
        assert releases in ({1}, {1, 2}), n
        seen.add(len(releases))
        writer.verify(tmp_path / "console" / "repo", now=datetime.now(UTC))
        assert list((tmp_path / "console" / "uploads").iterdir()) == []
        if not disk.was_cut:
            break
    assert seen == {1, 2}


def test_what_is_promised_to_be_adopted_has_its_name_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut leaves the promise, and takes a blob that its metadata names."""
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    repository = open_repository(tmp_path)
    number = asyncio.run(received(repository, publisher.folder))
    folder = repository.upload(number).folder
    folders = {path.parent for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in folders} == {"blobs", "metadata", "1"}
    needed = folders | {
        above for path in folders for above in path.parents if folder in above.parents
    }
    synced: list[Path] = []
    at_promise: list[set[Path]] = []
    sync, replace = durable.sync_folder, durable.replace

    def settled(path: Path) -> None:
        sync(path)
        synced.append(path)

    def replaced(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        if path.parent == folder:
            at_promise.append(set(synced))
        replace(path, data, mode=mode)

    monkeypatch.setattr(durable, "sync_folder", settled)
    monkeypatch.setattr(durable, "replace", replaced)
    repository.commit(number, known={})
    assert len(at_promise) == 1
    assert at_promise[0] >= needed | {folder, folder.parent}


def test_the_timestamp_is_signed_anew_every_day_and_never_goes_back(tmp_path: Path) -> None:
    publisher = RepositorySimulator(tmp_path)
    repository = open_repository(tmp_path)
    repository.commit(sent_to(repository, publisher.folder), known={})
    assert not repository.stale()
    before = _version(repository)
    tomorrow = open_repository(tmp_path, hours=25)
    assert tomorrow.stale()
    tomorrow.renew()
    assert not tomorrow.stale()
    assert _version(tomorrow) > before
    saved = (repository.folder / "metadata" / "timestamp.json").read_bytes()
    tomorrow.renew()
    newest = _version(tomorrow)
    (repository.folder / "metadata" / "timestamp.json").write_bytes(saved)  # an older backup
    later = open_repository(tmp_path, hours=25 + 1)
    later.renew()
    assert _version(later) > newest


def _version(repository: ImageRepository) -> int:
    found = Repository(repository.folder).newest(Timestamp, Timestamp.type)
    assert found is not None
    return found.signed.version


def test_an_upload_that_was_cut_off_is_forgotten_at_the_next_start(tmp_path: Path) -> None:
    publisher = RepositorySimulator(tmp_path)
    cut_off = open_repository(tmp_path)
    sent_to(cut_off, publisher.folder)
    assert open_repository(tmp_path).recover(known={}) is None
    assert list((tmp_path / "console" / "uploads").iterdir()) == []


def test_expired_metadata_is_not_adopted(tmp_path: Path) -> None:
    publisher = RepositorySimulator(tmp_path, now=datetime.now(UTC) - timedelta(days=366))
    repository = open_repository(tmp_path)
    with pytest.raises(LittoralError) as refused:
        repository.commit(sent_to(repository, publisher.folder), known={})
    assert refused.value.code == "expired"
    assert json.dumps(repository.root) == "null"


class Stumbling(Folder):
    """A place for blobs that is gone for a moment, after the first."""

    stumbles = 1

    def keep(self, sent: Path, sha256: str) -> None:
        if self.stumbles and any(self.path.glob("*")):
            self.stumbles -= 1
            raise StorageError("s3://models: sending: the network is gone")
        super().keep(sent, sha256)


def test_an_upload_whose_blobs_cannot_be_kept_is_committed_again(tmp_path: Path) -> None:
    """Nothing names what is not there: metadata comes last, wherever the blobs go."""
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    blobs = Stumbling(tmp_path / "bucket")
    keys = OnlineKeys.load(tmp_path / "online")
    first = ImageRepository(tmp_path / "console", keys=keys, clock=system_clock, blobs=blobs)
    number = sent_to(first, publisher.folder)
    with pytest.raises(StorageError):
        first.commit(number, known={})
    assert first.root is None
    admitted = first.commit(number, known={})
    assert [one.manifest.release for one in admitted.releases] == [1]
    assert not (tmp_path / "console" / "repo" / "blobs").exists()
    name = f"blobs/{admitted.releases[0].manifest.files['model.tflite'].sha256}"
    found = first.read(name, start=3, length=5)
    data = (publisher.folder / name).read_bytes()
    assert found == (data[3:8], len(data))
    assert first.read(name, start=len(data), length=5) == (b"", len(data))
    assert first.read("blobs/" + "0" * 64, start=0, length=5) is None
    behind = first.read("metadata/timestamp.json", start=2**63 - 1, length=2**18)
    assert behind is not None
    assert (behind[0], behind[1] > 0) == (b"", True), "whoever asks behind the end fills no log"
    timestamp = first.read("metadata/timestamp.json", start=0, length=1)
    assert timestamp is not None
    assert timestamp[0] == b"{"
    assert first.read("keys/timestamp.pem", start=0, length=1) is None
    assert first.lent("blobs/../keys") is None
