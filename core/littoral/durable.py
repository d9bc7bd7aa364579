"""Writes that survive a power cut: the one way this project changes a file that matters.

A reader sees the old bytes or the new ones, never a part: new bytes go into a file
beside the old one, are fsynced, take its name, and the folder is fsynced.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from littoral.errors import DiskFullError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT}
FORBIDDEN = {errno.EACCES, errno.EPERM}
ASK_ROOT = "run it with sudo, or give it to the user who runs this"  # what to do about these


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the OSErrors of working on ``path`` into ours.

    Raises:
        DiskFullError: There is no room; the old bytes are still there.
        StorageError: Anything else the disk has to say.

    """
    try:
        yield
    except OSError as e:
        if e.errno in _FULL:
            raise DiskFullError(
                f"{path}: no space left on the device; free some, or choose another folder"
            ) from e
        do = f"; {ASK_ROOT}" if e.errno in FORBIDDEN else ""
        raise StorageError(f"{path}: {e.strerror or e}{do}") from e


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Make ``path`` hold ``data``, wholly or not at all. Can be done twice.

    Raises:
        DiskFullError: There is no room; ``path`` is as it was.
        StorageError: The disk refuses.

    """
    replace_from(path, (data,), mode=mode)


def replace_from(path: Path, chunks: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Make ``path`` hold all ``chunks``; what they raise leaves ``path`` as it was, as in replace.

    Raises:
        DiskFullError: There is no room; ``path`` is as it was.
        StorageError: The disk refuses.

    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with storage_errors(path):
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
            try:
                for chunk in chunks:
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make ``folder``, and those above it, be there and survive a power cut. Can be done twice.

    Else what is written into it durably is gone with it.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, mode=mode)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def remove(path: Path) -> None:
    """Make ``path`` not exist. Can be done twice.

    Raises:
        StorageError: The disk refuses.

    """
    with storage_errors(path):
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Give ``path``, which cannot be read, another name beside its own; return that.

    The tenth takes the place of the ninth.

    Raises:
        StorageError: The disk refuses.

    """
    names = (path.with_name(f"{path.name}.unreadable-{n}") for n in range(1, 9))
    last = path.with_name(f"{path.name}.unreadable-9")
    aside = next((name for name in names if not name.exists()), last)
    with storage_errors(path):
        path.replace(aside)
        sync_folder(path.parent)
    return aside


def sweep(folder: Path) -> None:
    """Remove what kills left beside the files of ``folder``; for its only writer to call.

    Raises:
        StorageError: The disk refuses.

    """
    with storage_errors(folder):
        for path in folder.glob(".*.new"):
            path.unlink(missing_ok=True)
