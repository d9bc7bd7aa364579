"""Copies files by their digests: what comes in is what was named, or nothing comes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from littoral import durable
from littoral.errors import HashError, MisuseError
from littoral.trust.repository import CHUNK_BYTES
from littoral.trust.signing import PUBLIC


def copy_blob(source: Path, into: Path, *, sha256: str, size: int) -> bool:
    """Copy ``source`` unless its bytes are there; return whether it was copied.

    Raises:
        HashError: It is another file.
        MisuseError: It cannot be read.

    """
    if is_there(into, sha256):
        return False
    durable.replace_from(into, _checked(source, sha256=sha256, size=size), mode=PUBLIC)
    return True


def is_there(path: Path, sha256: str) -> bool:
    """Return whether the file at ``path`` is the one that is called ``sha256``."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _checked(source: Path, *, sha256: str, size: int) -> Iterator[bytes]:
    """Read ``source`` in chunks, and raise at its end, or as soon as it is too long."""
    hashed, length = hashlib.sha256(), 0
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                hashed.update(chunk)
                length += len(chunk)
                if length > size:
                    break
                yield chunk
    except OSError as e:
        raise MisuseError(f"{source}: named by the manifest, and cannot be read: {e}") from e
    if length != size:
        raise HashError(str(source), signed=str(size), found=str(length), kind="length")
    if hashed.hexdigest() != sha256:
        raise HashError(str(source), signed=sha256, found=hashed.hexdigest())
