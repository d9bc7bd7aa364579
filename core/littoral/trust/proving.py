"""Whether the files that manifests name are here, and every encoding gives back its file.

An encoding may be missing: whoever wants the file takes another one, or the file as it is. One
that is here and wrong is a mistake that nobody may find out only on a device.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from littoral.bundle import encodings
from littoral.bundle.manifest import Blob, Encoding, File
from littoral.errors import ForgottenError, HashError
from littoral.trust.repository import Repository


def prove(repository: Repository, file: File) -> None:
    """Check ``file``, and those of its encodings that are here.

    Raises:
        ForgottenError: The file is not here.
        HashError, MalformedError, EndlessError: Something is not what the manifest says.

    """
    _check(repository.blob_path(file.sha256), file)
    for encoding in file.encodings:
        packed = repository.blob_path(encoding.sha256)
        if packed.exists():
            _check(packed, encoding)
            _decode(repository, file, encoding)


def absent(repository: Repository, file: File) -> Iterator[Encoding]:
    """Walk the encodings of ``file`` that are not here."""
    for encoding in file.encodings:
        if not repository.blob_path(encoding.sha256).exists():
            yield encoding


def _check(path: Path, named: Blob) -> None:
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
            length = opened.tell()
    except OSError as e:
        raise ForgottenError(f"{path}: named by a manifest, and not here") from e
    if length != named.size:
        raise HashError(str(path), signed=str(named.size), found=str(length), kind="length")
    if found != named.sha256:
        raise HashError(str(path), signed=named.sha256, found=found)


def _decode(repository: Repository, file: File, encoding: Encoding) -> None:
    """Decode as a device does; of a patch whose base is not here nothing more can be said."""
    base = None if encoding.base is None else repository.blob_path(encoding.base)
    if base is not None and not base.exists():
        return
    with repository.blob_path(encoding.sha256).open("rb") as packed:
        if base is None:
            _exhaust(encodings.decode(file, encoding, packed.read))
            return
        with base.open("rb") as old:

            def read(at: int, size: int) -> bytes:
                old.seek(at)
                return old.read(size)

            _exhaust(encodings.decode(file, encoding, packed.read, base=read))


def _exhaust(walk: Iterator[bytes]) -> None:
    for _ in walk:
        pass
