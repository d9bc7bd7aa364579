"""What the device holds: believed again by its sha256 alone, and kept as long as it is needed."""

import errno
import hashlib
from pathlib import Path

import pytest

from littoral.bundle.manifest import Manifest
from littoral.errors import HashError, MalformedError, StorageError
from littoral.tree import Tree
from littoral.wire.journal import Choice
from littoral_agent import holdings
from simulators.encodings import offered, zstd
from simulators.repository import tiny_bundle


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "device")
    tree.make()
    return tree


def held(tree: Tree, tmp_path: Path, release: int) -> Choice:
    """Put a release where the agent keeps it."""
    folder = tmp_path / str(release)
    folder.mkdir()
    tiny_bundle(folder, model="digits", release=release)
    data = (folder / "manifest.json").read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    tree.manifest(sha256).write_bytes(data)
    for name, file in Manifest.from_json(data).files.items():
        tree.blob(file.sha256).write_bytes((folder / name).read_bytes())
    return Choice(manifest=sha256, release=release, variant="cpu", hardware="cpu-x86_64")


def test_a_manifest_is_what_was_believed_or_nothing(tree: Tree, tmp_path: Path) -> None:
    choice = held(tree, tmp_path, 1)
    assert holdings.manifest(tree, choice.manifest).release == 1
    path = tree.manifest(choice.manifest)
    path.write_bytes(path.read_bytes().replace(b'"1.0"', b'"9.9"'))
    assert holdings.manifest_bytes(tree, choice.manifest) is None
    with pytest.raises(HashError):
        holdings.manifest(tree, choice.manifest)
    assert holdings.manifest_bytes(tree, "0" * 64) is None


def test_a_variant_that_is_not_there_is_said(tree: Tree, tmp_path: Path) -> None:
    choice = held(tree, tmp_path, 1)
    assert len(holdings.files(tree, choice)) == 3
    other = Choice(manifest=choice.manifest, release=1, variant="tpu", hardware="edgetpu-usb")
    with pytest.raises(MalformedError, match="no variant 'tpu'"):
        holdings.files(tree, other)


def test_a_part_goes_whose_whole_file_is_there(tree: Tree, tmp_path: Path) -> None:
    """Power may be lost when a file has its new name, and its old one still."""
    one = held(tree, tmp_path, 1)
    sha256 = next(iter(holdings.manifest(tree, one.manifest).files.values())).sha256
    tree.part(sha256).hardlink_to(tree.blob(sha256))
    assert holdings.collect(tree, {one}) == 1
    assert tree.blob(sha256).exists()
    assert not tree.part(sha256).exists()


def test_what_arrives_in_an_encoding_stays_until_its_file_is_here(
    tree: Tree, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    offer = zstd(bytes(9999))
    tiny_bundle(folder, model="digits", release=1, files={"model.tflite": bytes(9999)})
    data = (offered(folder, "model.tflite", offer) / "manifest.json").read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    tree.manifest(sha256).write_bytes(data)
    one = Choice(manifest=sha256, release=1, variant="cpu", hardware="cpu-x86_64")
    part = tree.part(offer.encoding.sha256)
    part.write_bytes(b"half")
    assert holdings.collect(tree, [one]) == 0
    assert holdings.collect(tree, [], named=[sha256]) == 0
    file = holdings.manifest(tree, sha256).files["model.tflite"]
    tree.blob(file.sha256).write_bytes(bytes(9999))
    assert holdings.collect(tree, [one]) == 1
    assert not part.exists()
    part.write_bytes(b"half")
    assert holdings.collect(tree, []) == 3


def test_what_is_needed_stays_and_the_rest_goes(tree: Tree, tmp_path: Path) -> None:
    one, two, three = (held(tree, tmp_path, release) for release in (1, 2, 3))
    tree.part("d" * 64).write_bytes(b"half")
    shared = holdings.files(tree, one)
    wanted = next(file for file in holdings.files(tree, two) if file not in shared)
    tree.blob(wanted.sha256).unlink()
    tree.part(wanted.sha256).write_bytes(b"half of what is named")
    assert holdings.collect(tree, [one], named={two.manifest}) == 3
    assert {path.stem for path in tree.manifests.iterdir()} == {one.manifest, two.manifest}
    assert [path.name for path in tree.parts.iterdir()] == [wanted.sha256]
    assert all(tree.blob(file.sha256).exists() for file in holdings.files(tree, one))
    assert holdings.collect(tree, [one], named={two.manifest}) == 0
    del three


def test_nothing_is_deleted_while_anything_is_unclear(tree: Tree, tmp_path: Path) -> None:
    one, _ = held(tree, tmp_path, 1), held(tree, tmp_path, 2)
    tree.manifest(one.manifest).write_bytes(b"{")
    assert holdings.collect(tree, [one]) == 0
    assert len(list(tree.manifests.iterdir())) == 2


def test_a_model_whose_journal_was_lost_is_known_by_what_was_set_aside(tree: Tree) -> None:
    (tree.journals / "digits.json.unreadable-1").touch()
    (tree.journals / "sounds.json").touch()
    assert holdings.lost(tree) == {"digits"}


def test_what_cannot_be_deleted_now_is_said_and_keeps_nothing_else(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (held(tree, tmp_path, release) for release in (1, 2))
    unlink = Path.unlink

    def refused(path: Path, *, missing_ok: bool = False) -> None:
        if path == tree.manifest(two.manifest):
            raise OSError(errno.EIO, "Input/output error")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        with pytest.raises(StorageError):
            holdings.collect(tree, [one])
    assert {path.name for path in tree.blobs.iterdir() if path.is_file()} == {
        file.sha256 for file in holdings.files(tree, one)
    }
    assert holdings.collect(tree, [one]) == 1
