"""A publisher signs what is there, byte for byte as the manifest says, and nothing else."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from littoral.bundle.manifest import Encoding, Manifest
from littoral.errors import (
    HashError,
    LittoralError,
    MalformedError,
    MisuseError,
    RollbackError,
    UnsupportedFormatError,
)
from littoral.trust import writer
from littoral.trust.publishing import Encoded
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


class Encode:
    """Offers some bytes of its own for the model, and remembers what it was asked with."""

    def __init__(self, data: bytes = b"packed") -> None:
        self.data = data
        self.older: list[int] = []

    def __call__(
        self, manifest: Manifest, older: Sequence[Manifest], blob: Callable[[str], Path]
    ) -> Encoded:
        self.older = [one.release for one in older]
        sha256 = hashlib.sha256(self.data).hexdigest()
        assert blob(manifest.files["model.tflite"].sha256).exists()  # it is read from there
        encoding = Encoding(kind="zstd", sha256=sha256, size=len(self.data))
        return Encoded(made=[("model.tflite", encoding, self.data)], left_out=("what was not",))


def test_encodings_are_added_to_what_is_signed_and_the_bundle_is_as_it_was(
    repo: RepositorySimulator,
) -> None:
    bundle = repo.bundle("digits", 1)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    done = publish(repo, bundle, encode=Encode())
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    data = repo.read(f"targets/bundles/digits/1/{done.manifest_sha256}.manifest.json")
    signed, original = Manifest.from_json(data), Manifest.from_json(before["manifest.json"])
    (encoding,) = signed.files["model.tflite"].encodings
    assert repo.read(f"blobs/{encoding.sha256}") == b"packed"
    assert signed.model == original.model
    assert {n: f.sha256 for n, f in signed.files.items()} == {
        n: f.sha256 for n, f in original.files.items()
    }
    assert (done.blobs, done.left_out) == (4, ("what was not",))
    assert {file.name: file.zstd for file in done.files}["model.tflite"] == len(b"packed")


def test_patches_may_start_from_what_is_published_and_not_below_the_floor(
    repo: RepositorySimulator,
) -> None:
    encode = Encode()
    for release, floor in ((1, None), (2, None), (3, 2), (4, 3), (5, None)):
        publish(repo, repo.bundle("digits", release), encode=encode, floor=floor)
        expected = range(release - 1, 0, -1)
        least = {1: 0, 2: 0, 3: 2, 4: 3, 5: 3}[release]
        assert encode.older == [n for n in expected if n >= least], release


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_who_signs_need_not_hold_every_old_manifest_whole(
    repo: RepositorySimulator, damage: Callable[[Path], object]
) -> None:
    encode = Encode()
    for release in (1, 2):
        publish(repo, repo.bundle("digits", release))
    damage(next((repo.folder / "targets/bundles/digits/1").iterdir()))
    publish(repo, repo.bundle("digits", 3), encode=encode)
    assert encode.older == [2]


def test_nothing_is_encoded_for_a_release_that_nobody_could_sign(
    repo: RepositorySimulator,
) -> None:
    encode = Encode()
    publish(repo, repo.bundle("digits", 4))
    again = repo.bundle("digits", 5)
    edit(again, lambda m: m.update(release=4))
    with pytest.raises(RollbackError):
        publish(repo, again, encode=encode)
    (repo.offline / "digits-1.pem").unlink()
    with pytest.raises(MisuseError):
        publish(repo, repo.bundle("digits", 6), encode=encode)
    assert encode.older == []


def test_a_manifest_that_grew_too_long_is_not_signed(repo: RepositorySimulator) -> None:
    class Many(Encode):
        def __call__(self, *asked: Any) -> Encoded:
            (made,) = super().__call__(*asked).made
            return Encoded(made=[made] * 1000)

    with pytest.raises(MalformedError, match="manifest"):
        publish(repo, repo.bundle("digits", 1), encode=Many())
    assert not list((repo.folder / "targets").rglob("*.json"))
