"""Folders that are worked in, and what a kill left of them.

Whoever works in a folder holds a lock on it, which ends with the process, however that ends. So
what nobody holds is nobody's, and whoever comes next clears it away.
"""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_MAKING_S: Final = 60.0  # between a folder and its lock there is a moment


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold ``folder``, if its file system knows locks; else it is there as long as it is young."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def clear(parent: Path, names: str) -> None:
    """Delete the folders in ``parent`` with such names that are ours and that nobody holds."""
    with suppress(OSError):
        for path in parent.glob(names):
            with suppress(OSError):
                if abandoned(path):
                    shutil.rmtree(path, ignore_errors=True)


def abandoned(folder: Path) -> bool:
    """Return whether ``folder`` is one of ours in which nobody works any more. Raises OSError."""
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or time.time() - found.st_ctime < _MAKING_S:
        return False
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
