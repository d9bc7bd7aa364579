"""A repository's files are checked, and each encoding gives back its file, or is not there."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from littoral.bundle import frames
from littoral.bundle.manifest import Encoding, File
from littoral.errors import (
    EndlessError,
    ForgottenError,
    HashError,
    LittoralError,
    MalformedError,
)
from littoral.trust.proving import absent, prove
from littoral.trust.repository import Repository

PLAIN = random.Random(1).randbytes(3000)
BASE = PLAIN[:1500] + b"other" + PLAIN[1505:]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "blobs").mkdir()
    return Repository(tmp_path)


def keep(repository: Repository, data: bytes) -> str:
    repository.blob_path(sha256(data)).write_bytes(data)
    return sha256(data)


def named(*encodings: Encoding) -> File:
    return File(sha256=sha256(PLAIN), size=len(PLAIN), encodings=encodings)


def zstd(data: bytes) -> Encoding:
    return Encoding(kind="zstd", sha256=sha256(data), size=len(data))


def patch() -> bytes:
    """Return the patch by which PLAIN comes of BASE."""
    from littoral_converter import patches

    return patches.make(BASE, PLAIN)


def test_what_is_here_and_right_is_proven(repository: Repository) -> None:
    packed, made = frames.encode(PLAIN), patch()
    for data in (PLAIN, BASE, packed, made):
        keep(repository, data)
    patched = Encoding(kind="patch", sha256=sha256(made), size=len(made), base=sha256(BASE))
    file = named(zstd(packed), patched)
    prove(repository, file)
    assert list(absent(repository, file)) == []


def test_an_encoding_that_is_not_here_is_no_fault_and_told(repository: Repository) -> None:
    keep(repository, PLAIN)
    file = named(zstd(b"elsewhere"))
    prove(repository, file)
    assert list(absent(repository, file)) == list(file.encodings)


def test_a_file_that_is_not_here_is(repository: Repository) -> None:
    packed = frames.encode(PLAIN)
    keep(repository, packed)
    with pytest.raises(ForgottenError):
        prove(repository, named(zstd(packed)))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no frame at all", MalformedError),
        (frames.encode(PLAIN[:-1] + b"x"), HashError),
        (frames.encode(PLAIN) + b"more", EndlessError),
        (frames.encode(PLAIN)[:-1], MalformedError),
    ],
)
def test_an_encoding_that_is_named_rightly_and_is_wrong_is_found(
    repository: Repository, data: bytes, error: type[LittoralError]
) -> None:
    keep(repository, PLAIN)
    keep(repository, data)
    with pytest.raises(error):
        prove(repository, named(zstd(data)))


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:-1] + b"x"])
def test_an_encoding_that_rotted_is_found(
    repository: Repository, spoil: Callable[[bytes], bytes]
) -> None:
    packed = frames.encode(PLAIN)
    keep(repository, PLAIN)
    repository.blob_path(sha256(packed)).write_bytes(spoil(packed))
    with pytest.raises(HashError):
        prove(repository, named(zstd(packed)))


def test_of_a_patch_whose_base_is_gone_the_digest_is_checked(repository: Repository) -> None:
    made = patch()
    keep(repository, PLAIN)
    keep(repository, made)
    patched = Encoding(kind="patch", sha256=sha256(made), size=len(made), base=sha256(BASE))
    prove(repository, named(patched))
    repository.blob_path(sha256(made)).write_bytes(made[:-1] + b"x")
    with pytest.raises(HashError):
        prove(repository, named(patched))


def test_a_patch_of_another_base_is_found(repository: Repository) -> None:
    made, other = patch(), bytes(len(BASE))
    for data in (PLAIN, other, made):
        keep(repository, data)
    patched = Encoding(kind="patch", sha256=sha256(made), size=len(made), base=sha256(other))
    with pytest.raises(LittoralError):
        prove(repository, named(patched))
