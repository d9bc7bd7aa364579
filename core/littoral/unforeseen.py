"""What a door says of an exception that no room foresaw: the machine's refusal, or a defect.

Apart from the command line, and small: serve's own door has it at hand when nothing can be opened.
"""

import errno
from typing import Final

from littoral import durable
from littoral.errors import DefectError, DiskFullError, LittoralError, StorageError

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_OUT: Final = {errno.EMFILE, errno.ENFILE}
_DISK: Final = {  # what a disk or its owner says of a path that a person named
    *_FULL,
    errno.EACCES,
    errno.EEXIST,
    errno.EIO,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def told(error: Exception) -> LittoralError:
    """Return ``error`` as one of ours: what no room foresaw is the disk's refusal or a defect."""
    if isinstance(error, LittoralError):
        return error
    if isinstance(error, OSError) and error.errno in _OUT:
        return StorageError(f"{error.strerror}: 'ulimit -n' says how many this process may open")
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        return DiskFullError("no space left where this prints to, or writes; free some")
    if not isinstance(error, OSError) or error.errno not in _DISK or error.filename is None:
        return DefectError(error)
    kind = DiskFullError if error.errno in _FULL else StorageError
    do = "check the disk, and who may write there"
    if error.errno in durable.FORBIDDEN:
        do = durable.ASK_ROOT
    return kind(f"{error.filename}: {error.strerror}; {do}")
