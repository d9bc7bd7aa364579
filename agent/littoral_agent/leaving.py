"""Leaves a receipt on a medium: one file beneath it, whole or not at all.

Who filled the medium may have laid links there, so no name is followed through one. It is done
by whoever asked for the install: on a stick that this person may write.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from littoral import durable
from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError
from littoral.wire.receipt import FOLDER

_PUBLIC: Final = 0o644  # who carries it may read it
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def leave(medium: int, device: str, data: bytes, *, called: Path) -> str:
    """Write ``data`` as the receipt of ``device`` below the folder ``medium``; return its name.

    Raises:
        StorageError: The medium cannot be written, or holds something else under that name.
        MalformedError: No device is called so; root need not believe what an agent answers.

    """
    try:
        name = f"{check_id('device', device)}.json"
    except ValueError as e:
        raise MalformedError(f"receipt: {e}") from e
    with durable.storage_errors(called / FOLDER / name):
        with contextlib.suppress(FileExistsError):
            os.mkdir(FOLDER, 0o755, dir_fd=medium)
        folder = os.open(FOLDER, _FOLDER, dir_fd=medium)
        try:
            _replace(folder, name, data)
        finally:
            os.close(folder)
    return f"{FOLDER}/{name}"


def _replace(folder: int, name: str, data: bytes) -> None:
    new = f".{name}.new"
    _remove(folder, new)  # of one that was cut short
    fd = os.open(new, _NEW, _PUBLIC, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _remove(folder, new)
        raise
    os.fsync(folder)


def _remove(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
