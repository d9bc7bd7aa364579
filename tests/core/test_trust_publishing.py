"""A publisher signs what is there, byte for byte as the manifest says, and nothing else."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from littoral.errors import (
    HashError,
    LittoralError,
    MalformedError,
    MisuseError,
    RollbackError,
    UnsupportedFormatError,
)
from littoral.trust import writer
from littoral.trust.repository import Repository, releases
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as simulator:
        writer.delegate(simulator.folder, "digits", offline=simulator.offline, now=simulator.now)
        simulator.renew()
        yield simulator


def publish(repo: RepositorySimulator, bundle: Path, **more: Any) -> writer.Published:
    return writer.publish(repo.folder, bundle, offline=repo.offline, now=repo.now, **more)


def edit(bundle: Path, change: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_manifest_and_files_go_where_devices_look(repo: RepositorySimulator) -> None:
    bundle = repo.bundle("digits", 1)
    done = publish(repo, bundle)
    data = (bundle / "manifest.json").read_bytes()
    assert done.manifest_sha256 == hashlib.sha256(data).hexdigest()
    name = f"targets/bundles/digits/1/{done.manifest_sha256}.manifest.json"
    assert repo.read(name) == data
    for path in bundle.iterdir():
        if path.name != "manifest.json":
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            assert repo.read(f"blobs/{sha256}") == path.read_bytes()
    assert (done.model, done.release, done.version, done.blobs) == ("digits", 1, 2, 3)


def test_what_is_signed_says_release_and_hardware(repo: RepositorySimulator) -> None:
    publish(repo, repo.bundle("digits", 4, hardware=("cuda", "cpu-x86_64")))
    repository = Repository(repo.folder)
    role = repository.models(repository.targets(repository.root()).signed)["digits"]
    assert releases(role.signed, "digits")[4].custom == {
        "release": 4,
        "hardware": ["cpu-x86_64", "cuda"],
    }


def test_only_a_greater_release_is_published(repo: RepositorySimulator) -> None:
    publish(repo, repo.bundle("digits", 3))
    for release in (3, 2):
        bundle = repo.base / f"again-{release}"
        repo.bundle("digits", release + 10).rename(bundle)
        edit(bundle, lambda m, r=release: m.update(release=r))
        with pytest.raises(RollbackError, match=f"release {release} was offered, but release 3"):
            publish(repo, bundle)
    publish(repo, repo.bundle("digits", 9))


def test_blobs_that_are_there_are_not_copied_again(repo: RepositorySimulator) -> None:
    publish(repo, repo.bundle("digits", 1))
    done = publish(repo, repo.bundle("digits", 2))
    assert done.blobs == 1
    assert done.bytes == len(b"digits 2 " * 50)


def test_a_blob_that_rotted_is_copied_again(repo: RepositorySimulator) -> None:
    bundle = repo.bundle("digits", 1)
    sha256 = hashlib.sha256((bundle / "model.tflite").read_bytes()).hexdigest()
    (repo.folder / "blobs" / sha256).write_bytes(b"rot")
    publish(repo, bundle)
    repo.renew()
    writer.verify(repo.folder, now=repo.now)


def test_encodings_travel_under_their_own_digest(repo: RepositorySimulator) -> None:
    bundle = repo.bundle("digits", 1)
    packed = b"packed"
    sha256 = hashlib.sha256(packed).hexdigest()
    encoding = {"kind": "zstd", "sha256": sha256, "size": len(packed)}
    edit(bundle, lambda m: m["files"]["model.tflite"].update(encodings=[encoding]))
    with pytest.raises(MisuseError, match=sha256[:12]):
        publish(repo, bundle)
    (bundle / sha256).write_bytes(packed)
    publish(repo, bundle)
    assert repo.read(f"blobs/{sha256}") == packed


def test_a_file_that_is_not_the_manifest_s_is_refused(repo: RepositorySimulator) -> None:
    before = writer.verify(repo.folder, now=repo.now)
    spoils = (b"", b"x", b"digits 3 " * 49 + b"digits_3 ", bytes(10_000_000))
    for release, change in enumerate(spoils, 1):
        bundle = repo.bundle("digits", release)
        (bundle / "model.tflite").write_bytes(change)
        with pytest.raises(HashError):
            publish(repo, bundle)
    bundle = repo.bundle("digits", 99)
    (bundle / "model.tflite").unlink()
    with pytest.raises(MisuseError, match=r"model\.tflite"):
        publish(repo, bundle)
    assert writer.verify(repo.folder, now=repo.now) == before
    assert not [path for path in (repo.folder / "blobs").iterdir() if path.name.endswith(".new")]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", MalformedError),
        ("[]", MalformedError),
        ('{"format": 2}', UnsupportedFormatError),
        (" " * 70_000, MalformedError),
    ],
)
def test_what_is_no_bundle_is_refused(
    repo: RepositorySimulator, tmp_path: Path, text: str, error: type[LittoralError]
) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(error):
        publish(repo, tmp_path)
    with pytest.raises(MisuseError, match="expected a bundle"):
        publish(repo, tmp_path / "nowhere")


def test_a_model_with_whom_nobody_is_trusted_says_what_to_run(repo: RepositorySimulator) -> None:
    with pytest.raises(MisuseError, match="littoral repo delegate"):
        publish(repo, repo.bundle("birds", 1))


def test_the_model_s_own_key_signs(repo: RepositorySimulator) -> None:
    writer.delegate(repo.folder, "birds", offline=repo.offline, now=repo.now)
    (repo.offline / "digits-1.pem").unlink()
    with pytest.raises(MisuseError, match="digits"):
        publish(repo, repo.bundle("digits", 1))
    publish(repo, repo.bundle("birds", 1))


def test_a_floor_may_be_raised_with_a_release_and_never_falls(repo: RepositorySimulator) -> None:
    publish(repo, repo.bundle("digits", 5), floor=4)
    six = repo.bundle("digits", 6)
    with pytest.raises(RollbackError, match="floor"):
        publish(repo, six, floor=3)
    with pytest.raises(MisuseError, match="at most 6"):
        publish(repo, six, floor=60)
    publish(repo, repo.bundle("digits", 7))
    repo.renew()
    writer.verify(repo.folder, now=repo.now)
