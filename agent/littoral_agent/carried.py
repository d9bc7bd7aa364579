"""Remembers what a medium or a copy brought, while the console itself has not said it yet.

A document: what waited at the broker meanwhile is older, and comes when the device is back. The
repository's timestamp: the console's own may be of this morning. Either was the console's word in
its time, and no attack. Kept over reboots; lost, it costs a harsher word.
"""

import hashlib
import logging
from pathlib import Path
from typing import Final

from littoral import durable
from littoral.errors import StorageError

_MOST: Final = 64  # characters of a sha256

log = logging.getLogger(__name__)


class Carried:
    """The bytes whose sha256 stands in ``path``. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = _read(path)

    def holds(self, data: bytes | None) -> bool:
        """Whether the console has not said ``data`` so far."""
        return data is not None and bool(self._sha256) and _digest(data) == self._sha256

    def put(self, data: bytes) -> None:
        self._sha256 = _digest(data)
        try:
            durable.replace(self._path, self._sha256.encode())
        except StorageError as e:
            log.warning("%s [%s]", e, e.code)

    def drop(self) -> None:
        """Forget it: the console has said the same."""
        self._sha256 = ""
        try:
            durable.remove(self._path)
        except StorageError as e:
            log.warning("%s [%s]", e, e.code)


def _read(path: Path) -> str:
    try:
        with durable.storage_errors(path):
            return path.read_bytes()[:_MOST].decode() if path.exists() else ""
    except ValueError:
        log.warning("%s: expected a sha256, found something else; it is forgotten", path)
    except StorageError as e:
        log.warning("%s [%s]", e, e.code)
    return ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
