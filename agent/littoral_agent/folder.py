"""A repository in a folder: a stick that somebody plugged in, or a mounted share.

Who filled it may have put anything there: links that lead out of it, pipes that never answer,
devices. So a name is walked from the folder down, part by part, through no link and never up, and
its end is opened only after it is known to be a regular file: no system call that newer kernels
alone have is needed for that. What the files say is judged like what a server sends.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from littoral.errors import (
    DeniedError,
    EndlessError,
    ForgottenError,
    HashError,
    MalformedError,
    UnreachableError,
)
from littoral_agent.streams import CHUNK_BYTES, Stream

_NO_LINK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_SO: Final = {errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM}


class Folder:
    """The repository below ``path``: a littoral.trust.client.Fetch, and a source of files.

    ``called`` is what people call it, where ``path`` says little. Threads may share it.
    """

    offline = lags = True

    def __init__(self, path: Path, *, called: str | None = None) -> None:
        self._path, self._called = path, called or str(path)

    def __str__(self) -> str:
        return self._called

    def __call__(self, name: str, *, limit: int) -> bytes:
        """Return the file ``name``, of at most ``limit`` bytes.

        Raises:
            UnreachableError: The folder is not there, or what it lies on does not answer.
            ForgottenError: It does not hold that file.
            MalformedError: It holds something else under that name: a link, a pipe, a folder.
            DeniedError: This user may not read it.
            EndlessError: It is longer.

        """
        with self._opened(name) as fd, self._reading(name):
            if os.fstat(fd).st_size > limit:
                raise EndlessError(name, limit=limit)
            data = b""
            while len(data) <= limit and (chunk := os.read(fd, limit + 1 - len(data))):
                data += chunk
        if len(data) > limit:
            raise EndlessError(name, limit=limit)
        return data

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        """Open the file ``name`` from byte ``start``. Raises as a call does.

        Raises:
            HashError: It is shorter than that.

        """
        with self._opened(name) as fd:
            with self._reading(name):
                size = os.fstat(fd).st_size
            if start >= size > 0:
                raise HashError(name, signed=f"more than {start}", found="less", kind="length")
            yield Stream(start, size, self._chunks(name, fd, start), offline=True)

    def _chunks(self, name: str, fd: int, at: int) -> Iterator[bytes]:
        with self._reading(name):
            while chunk := os.pread(fd, CHUNK_BYTES, at):
                at += len(chunk)
                yield chunk

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        found = self._found(name)
        try:
            with self._reading(name):
                kind = os.fstat(found).st_mode
                if not stat.S_ISREG(kind):
                    raise MalformedError(
                        f"{self}: {name}: expected a regular file, found {_kind(kind)}"
                    )
                # The very file that was looked at: nobody can lay another one in between.
                fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(found)
        try:
            yield fd
        finally:
            os.close(fd)

    def _found(self, name: str) -> int:
        """Return a descriptor of what bears ``name``, by which it can only be looked at."""
        parts = name.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise MalformedError(f"{self}: {name!r} is no name of a file in a repository")
        try:
            at = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as e:
            raise UnreachableError(f"{self}: no such folder now ({e.strerror})") from e
        for i, part in enumerate(parts):
            flags = _NO_LINK if i == len(parts) - 1 else _NO_LINK | os.O_DIRECTORY
            try:
                with self._reading(name):
                    below = os.open(part, flags, dir_fd=at)
            finally:
                os.close(at)
            at = below
        return at

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            where = f"{self}: {name}"
            if e.errno == errno.ENOENT:
                raise ForgottenError(f"{where}: not there; the medium is not whole") from e
            if e.errno in _NOT_SO:
                raise MalformedError(f"{where}: expected folders and a regular file") from e
            if e.errno in _FORBIDDEN:
                raise DeniedError(f"{where}: this user may not read it; mount it readable") from e
            raise UnreachableError(f"{where}: {e.strerror}") from e


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")
