"""A blob, a file or an encoding of one, while it arrives: ``blobs/.part/<sha256>``.

Its bytes are hashed on the way. A whole one is fsynced, made read-only and renamed into
``blobs``; what has arrived of another survives kills and reboots.
"""

import hashlib
import os
from typing import Final, Self

from littoral import durable
from littoral.bundle.manifest import Blob
from littoral.errors import EndlessError
from littoral.tree import Tree
from littoral_agent.streams import CHUNK_BYTES

SYNC_BYTES: Final = 8 * 2**20  # what a power cut may cost of a download


def blob_name(blob: Blob) -> str:
    """Return what ``blob`` is called in a repository."""
    return f"blobs/{blob.sha256}"


class Part:
    """A blob on its way: what is here of it, hashed. Closes when its ``with`` ends."""

    def __init__(self, blob: Blob, tree: Tree) -> None:
        self.blob, self._path, self._whole = blob, tree.part(blob.sha256), tree.blob(blob.sha256)
        self._unsynced = 0

    def open(self) -> None:
        """Begin it, or go on with it; hashing what is here of it is left to ``with``."""
        with durable.storage_errors(self._path):
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        with durable.storage_errors(self._path):
            try:
                self._hash_held()
            except OSError:
                os.close(self._fd)
                raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def _hash_held(self) -> None:
        self.held, self._hash = 0, hashlib.sha256()
        if os.fstat(self._fd).st_size > self.blob.size:
            os.ftruncate(self._fd, 0)
        while chunk := os.read(self._fd, CHUNK_BYTES):
            self._hash.update(chunk)
            self.held += len(chunk)

    def restart(self) -> None:
        """Forget what is here: the source sends from the first byte."""
        with durable.storage_errors(self._path):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self.held, self._hash = 0, hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``. Raises EndlessError if that is more than there may be."""
        self.held += len(chunk)
        if self.held > self.blob.size:
            raise EndlessError(blob_name(self.blob), limit=self.blob.size)
        self._hash.update(chunk)
        self._unsynced += len(chunk)
        with durable.storage_errors(self._path):
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._fd, view) :]
            if self._unsynced >= SYNC_BYTES:
                os.fdatasync(self._fd)
                self._unsynced = 0

    @property
    def is_true(self) -> bool:
        """Whether what is here are the bytes that were signed."""
        return self._hash.hexdigest() == self.blob.sha256

    def keep(self) -> None:
        """Make it a whole file, which serve's group may read and nobody changes."""
        with durable.storage_errors(self._path):
            os.fchmod(self._fd, 0o440)
            os.fsync(self._fd)
            self._path.replace(self._whole)
            durable.sync_folder(self._whole.parent)

    def drop(self) -> None:
        """Delete it."""
        durable.remove(self._path)
