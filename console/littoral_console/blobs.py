"""Where the console keeps blobs: in a folder, and behind that, if asked, in a bucket.

A blob is named by its sha256 and never changes, so that it may be in both, and is the same. What
is in the folder comes first: who begins with a bucket moves nothing. It signs nothing and asks
nobody whether a name belongs to the repository.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from littoral import durable
from littoral.durable import storage_errors
from littoral.errors import HashError, SettingsError

PUBLIC: Final = 0o644
S3: Final = "s3://"
_CHUNK_BYTES: Final = 1024 * 1024


class Blobs(Protocol):
    """Its methods may be called from any thread but the event loop's: a bucket is far away.

    Each raises StorageError where it cannot be reached, or does not let us in.
    """

    def size(self, sha256: str) -> int | None:
        """Return how long the blob is, None if there is none."""

    def asked(self, sha256: str) -> int | None:
        """Return the same to somebody who may make up names: not so often as to cost much."""

    def keep(self, sent: Path, sha256: str) -> None:
        """Take over the file ``sent``, whose bytes were hashed. Can be done twice."""

    def file(self, sha256: str) -> Path | None:
        """Return the blob as a file of this machine, brought here if need be."""

    def url(self, sha256: str) -> str | None:
        """Return where else it may be fetched, for the next minutes; None: only from here."""

    def read(self, sha256: str, *, start: int, length: int) -> bytes:
        """Return up to ``length`` bytes of a blob that is there, from byte ``start``."""


class Folder:
    """Blobs as files of this machine, or of one that it has mounted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def size(self, sha256: str) -> int | None:
        found = self.file(sha256)
        return None if found is None else found.stat().st_size

    def asked(self, sha256: str) -> int | None:
        return self.size(sha256)

    def keep(self, sent: Path, sha256: str) -> None:
        kept = self.path / sha256
        durable.make_folder(kept.parent, mode=0o755)
        with storage_errors(kept):
            sent.chmod(PUBLIC)
            try:
                os.replace(sent, kept)  # noqa: PTH105 (as durable does, with the folder synced)
            except OSError as e:
                if e.errno != errno.EXDEV:
                    raise
                durable.replace_from(kept, chunks(sent), mode=PUBLIC)
                kept.chmod(PUBLIC)  # whatever the umask took away
                sent.unlink()
        durable.sync_folder(kept.parent)

    def file(self, sha256: str) -> Path | None:
        """Return the blob's file. A link leads nowhere: only regular files are served."""
        path = self.path.resolve() / sha256
        try:
            found = path.resolve(strict=True)
        except OSError:
            return None
        return path if found == path and path.is_file() else None

    def url(self, sha256: str) -> str | None:  # noqa: ARG002 (a folder is nowhere else)
        return None

    def read(self, sha256: str, *, start: int, length: int) -> bytes:
        path = self.path / sha256
        with storage_errors(path), path.open("rb") as file:
            return os.pread(file.fileno(), length, start)


def adopt(folder: Folder, sha256: str, data: Iterator[bytes]) -> Path:
    """Put into ``folder`` what comes from elsewhere, if it is what it is called.

    Raises:
        HashError: It is something else; nothing is there then.

    """
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for chunk in data:
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != sha256:
            raise HashError(f"blobs/{sha256}", signed=sha256, found=digest.hexdigest())

    durable.make_folder(folder.path, mode=0o755)
    durable.replace_from(folder.path / sha256, hashed(), mode=PUBLIC)
    return folder.path / sha256


def chunks(path: Path) -> Iterator[bytes]:
    """Walk the bytes of a file."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def of(place: str | None, *, data: Path) -> Blobs:
    """Return what ``--blobs`` names: a folder, or a bucket; else DATA/repo/blobs.

    Raises:
        SettingsError: It names something else, or a bucket that devices would not go to.
        MissingExtraError: boto3 is not installed.

    """
    beside = Folder(data / "repo" / "blobs")
    if place is None:
        return beside
    if place.startswith(S3):
        from littoral_console.bucket import Bucket

        name, _, prefix = place.removeprefix(S3).partition("/")
        if not name:
            raise SettingsError(f"--blobs: expected s3://BUCKET/PREFIX, found {place!r}")
        return Bucket.open(name, prefix.strip("/"), beside=beside)
    if "://" in place:
        raise SettingsError(f"--blobs: expected a folder or s3://BUCKET/PREFIX, found {place!r}")
    return Folder(Path(place).absolute())
