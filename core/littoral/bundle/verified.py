"""A release's files: each opened once, hashed, and used as it was read. Parses no model.

What an agent fetched it has verified before; here it is verified again on every load, because a
card forgets bits and a folder can be written to.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import MAX_BYTES, Manifest, check_sha256
from littoral.errors import HashError, MalformedError, StorageError
from littoral.tree import Tree

MAX_MODEL_BYTES: Final = 2**31  # of a bare model's file


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a release; ``open`` gives a descriptor of one. Raises StorageError."""

    open: Callable[[str], int]

    def read(self, manifest: Manifest, name: str) -> bytes:
        """Return its bytes, verified. Raises as ``read_file``."""
        return file_in(self.open(name), manifest, name)


def read_manifest(tree: Tree, sha256: str, *, model: str | None = None) -> Manifest:
    """Return the manifest ``sha256``, which must be one of ``model``'s.

    Raises:
        HashError: The file holds other bytes.
        MalformedError: It is no manifest, or another model's.
        StorageError: It is not there.

    """
    return manifest_in(open_manifest(tree, sha256), sha256, model=model)


def open_manifest(tree: Tree, sha256: str) -> int:
    """Return a descriptor of the manifest ``sha256``. Raises StorageError, MalformedError."""
    try:
        check_sha256("manifest", sha256)
    except ValueError as e:
        raise MalformedError(str(e)) from e
    return open_path(tree.manifest(sha256))


def manifest_in(fd: int, sha256: str, *, model: str | None = None) -> Manifest:
    """Read ``fd`` to its end and close it. Raises as ``read_manifest``."""
    data = read(fd, f"manifest {sha256[:12]}…", sha256=sha256, limit=MAX_BYTES)
    manifest = Manifest.from_json(data)
    if model is not None and manifest.model != model:
        raise MalformedError(
            f"manifest {sha256[:12]}…: expected one of {model!r}, found one of {manifest.model!r}"
        )
    return manifest


def read_file(tree: Tree, manifest: Manifest, name: str) -> bytes:
    """Return the bytes of the release's file ``name``.

    Raises:
        HashError: The disk holds other bytes.
        StorageError: It does not hold them at all.

    """
    return file_in(open_file(tree, manifest, name), manifest, name)


def open_file(tree: Tree, manifest: Manifest, name: str) -> int:
    """Return a descriptor of the release's file ``name``. Raises StorageError."""
    return open_path(tree.blob(manifest.files[name].sha256))


def file_in(fd: int, manifest: Manifest, name: str) -> bytes:
    """Read ``fd`` to its end and close it. Raises as ``read_file``."""
    file = manifest.files[name]
    what = f"{manifest.model} {manifest.release}: {name}"
    return read(fd, what, sha256=file.sha256, limit=file.size)


def beside(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Return the bytes of the file ``name`` of the bundle ``folder``. Raises as ``read_file``."""
    return file_in(open_path(folder / name), manifest, name)


def whole(path: Path, *, most: int) -> bytes:
    """Return the bytes of a file that somebody named, and nothing vouches for; a link is followed.

    Raises:
        StorageError: It is no file, or cannot be read.
        MalformedError: It has more than ``most`` bytes.

    """
    try:
        if path.exists() and not path.is_file():  # a pipe is waited for, a device has no end
            raise StorageError(f"{path}: expected a file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
    if len(data) > most:
        raise MalformedError(f"{path}: expected at most {most} bytes, found more")
    return data


def open_path(path: Path) -> int:
    """Return a descriptor of ``path``, a regular file and no link. Raises StorageError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StorageError(f"{path}: expected a regular file")
    return fd


def read(fd: int, what: str, *, sha256: str, limit: int) -> bytes:
    """Read ``fd``, which people call ``what``, to its end and close it. Raises as ``read_file``."""
    try:
        with os.fdopen(fd, "rb") as file:
            data = file.read(limit + 1)  # one byte more is enough for the hash to differ
    except OSError as e:
        raise StorageError(f"{what}: {e.strerror or e}") from e
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise HashError(what, signed=sha256, found=found)
    return data
