"""Whether a folder holds all that a device could come to ask, and says what does not."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from littoral.errors import (
    ExpiredError,
    ForgottenError,
    HashError,
    LittoralError,
    MalformedError,
    MisuseError,
    MixError,
    RollbackError,
    SignatureError,
)
from littoral.trust import writer
from littoral.trust.keyfiles import load_signer
from littoral.trust.repository import Repository
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as simulator:
        simulator.publish(simulator.bundle("digits", 1))
        yield simulator


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def one(repo: RepositorySimulator, pattern: str) -> Path:
    return max(repo.folder.glob(pattern))


SPOILS: list[tuple[str, Callable[[Path], object], tuple[type[LittoralError], ...]]] = [
    ("blobs/*", flip, (HashError,)),
    ("blobs/*", Path.unlink, (ForgottenError,)),
    ("blobs/*", lambda path: path.write_bytes(b""), (HashError,)),
    ("targets/bundles/digits/1/*", flip, (HashError,)),
    ("targets/bundles/digits/1/*", Path.unlink, (ForgottenError,)),
    ("metadata/2.digits.json", flip, (SignatureError, MalformedError)),
    ("metadata/2.targets.json", flip, (SignatureError, MalformedError)),
    ("metadata/2.snapshot.json", flip, (HashError,)),
    ("metadata/timestamp.json", flip, (SignatureError, MalformedError)),
    ("metadata/1.root.json", flip, (SignatureError, MalformedError)),
    ("metadata/2.digits.json", Path.unlink, (MixError,)),
]


def test_a_repository_that_was_published_holds(repo: RepositorySimulator) -> None:
    rows = writer.verify(repo.folder, now=repo.now)
    assert [row.role for row in rows] == ["root", "targets", "digits", "snapshot", "timestamp"]


@pytest.mark.parametrize(("pattern", "spoil", "errors"), SPOILS)
def test_what_does_not_hold_is_found(
    repo: RepositorySimulator,
    pattern: str,
    spoil: Callable[[Path], object],
    errors: tuple[type[LittoralError], ...],
) -> None:
    spoil(one(repo, pattern))
    with pytest.raises(errors):
        writer.verify(repo.folder, now=repo.now)


def test_a_gap_in_the_roots_is_found(repo: RepositorySimulator) -> None:
    for _ in range(3):
        writer.extend(repo.folder, offline=repo.offline, now=repo.now)
    (repo.folder / "metadata" / "3.root.json").unlink()
    with pytest.raises(MixError, match="expected version 3, found 4"):
        writer.verify(repo.folder, now=repo.now)


def test_an_old_root_under_a_new_number_is_a_rollback(repo: RepositorySimulator) -> None:
    (repo.folder / "metadata" / "2.root.json").write_bytes(repo.root)
    with pytest.raises(RollbackError):
        writer.verify(repo.folder, now=repo.now)


def test_expiry_is_found(repo: RepositorySimulator) -> None:
    with pytest.raises(ExpiredError):
        writer.verify(repo.folder, now=repo.now + timedelta(days=400))


def test_files_that_are_no_metadata_are_not_looked_at(repo: RepositorySimulator) -> None:
    for name in ("notes.txt", "x.json", "0.digits.json", "1.UPPER.json", ".2.digits.json.7.new"):
        (repo.folder / "metadata" / name).write_text("?")
    writer.verify(repo.folder, now=repo.now)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "x"},
        {"path": "bundles/birds/1/manifest.json"},
        {"path": "bundles/digits/01/manifest.json"},
        {"path": "bundles/digits/1/../manifest.json"},
        {"hashes": {"sha512": "0" * 128}},
        {"hashes": {"sha256": "../../../offline/root-1"}},
    ],
)
def test_a_model_s_own_signature_does_not_make_a_name_a_path(
    repo: RepositorySimulator, change: dict[str, Any]
) -> None:
    path = repo.folder / "metadata" / "2.digits.json"
    digits: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    (target,) = digits.signed.targets.values()
    for name, value in change.items():
        setattr(target, name, value)
    digits.signed.targets = {target.path: target}
    digits.sign(load_signer(repo.offline / "digits-1.pem"))
    path.write_bytes(digits.to_bytes())
    repo._vouch(path)
    with pytest.raises(MalformedError):
        writer.verify(repo.folder, now=repo.now)


def test_a_blob_has_the_name_of_a_digest(repo: RepositorySimulator) -> None:
    with pytest.raises(ValueError, match="sha256"):
        Repository(repo.folder).blob_path("../../etc/passwd")


def test_there_may_be_no_repository(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="no repository"):
        writer.status(tmp_path / "none", now=RepositorySimulator(tmp_path).now)
