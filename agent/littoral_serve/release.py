"""A release's files: each opened once, hashed, and used as it was read. Parses no model.

The agent has verified all this before; here it is verified again on every load, because a
card forgets bits and a folder can be written to.
"""

import hashlib
import os
import stat
from pathlib import Path

from littoral.bundle.manifest import MAX_BYTES, File, Manifest, Variant, check_sha256
from littoral.errors import HashError, MalformedError, StorageError
from littoral.tree import Tree


def read_manifest(tree: Tree, sha256: str, *, model: str | None = None) -> Manifest:
    """Return the manifest ``sha256``, which must be one of ``model``'s.

    Raises:
        HashError: The file holds other bytes.
        MalformedError: It is no manifest, or another model's.
        StorageError: It is not there.

    """
    try:
        check_sha256("manifest", sha256)
    except ValueError as e:
        raise MalformedError(str(e)) from e
    data = _read(tree.manifest(sha256), limit=MAX_BYTES)
    _check(f"manifest {sha256[:12]}…", data, sha256)
    manifest = Manifest.from_json(data)
    if model is not None and manifest.model != model:
        raise MalformedError(
            f"manifest {sha256[:12]}…: expected one of {model!r}, found one of {manifest.model!r}"
        )
    return manifest


def choose(manifest: Manifest, variant: str) -> Variant:
    """Return the variant with the id ``variant``.

    Raises:
        MalformedError: There is none.

    """
    for found in manifest.variants:
        if found.id == variant:
            return found
    known = ", ".join(v.id for v in manifest.variants)
    raise MalformedError(f"{manifest.model}: no variant {variant!r}; there are: {known}")


def read_file(tree: Tree, manifest: Manifest, name: str) -> bytes:
    """Return the bytes of the release's file ``name``.

    Raises:
        HashError: The disk holds other bytes.
        StorageError: It does not hold them at all.

    """
    file: File = manifest.files[name]
    data = _read(tree.blob(file.sha256), limit=file.size)
    _check(f"{manifest.model} {manifest.release}: {name}", data, file.sha256)
    return data


def _check(what: str, data: bytes, sha256: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise HashError(what, signed=sha256, found=found)


def _read(path: Path, *, limit: int) -> bytes:
    """Return at most one byte more than ``limit``: enough for the hash to differ."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise StorageError(f"{path}: expected a regular file")
            return file.read(limit + 1)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
