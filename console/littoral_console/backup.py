"""A console in one file: its database, its repository, its certificates; keys only if asked.

The database is copied while it is written to, by SQLite's own means; what is in the file is
one state of it. Restoring makes an earlier console, never earlier signatures: versions are
at least the time, and greater than what devices report.
"""

import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from littoral import durable
from littoral.durable import storage_errors
from littoral.errors import MalformedError, MisuseError

DATABASE: Final = "littoral.db"
FOLDERS: Final = ("repo", "tls")
KEYS: Final = "keys"
_FORMAT: Final = "littoral-backup"
_VERSION: Final = b"1\n"
_SECRET: Final = frozenset({"tls", KEYS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    path: str
    bytes: int
    files: int
    keys: bool


def save(data: Path, into: Path, *, keys: bool) -> Saved:
    """Write the console in ``data``, which may be running, into the file ``into``.

    Raises:
        MisuseError: There is no console, or ``into`` is there already.
        StorageError: The disk refuses; ``into`` is not there.

    """
    if not (data / DATABASE).exists():
        raise MisuseError(f"{data}: expected a console's folder with {DATABASE}")
    if into.exists():
        raise MisuseError(f"{into}: is there already; name another file")
    part = into.with_name(f".{into.name}.{os.getpid()}.new")
    with storage_errors(into):
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                count = _write(data, file, keys=keys)
                file.flush()
                os.fsync(file.fileno())
            part.replace(into)
            durable.sync_folder(into.parent)
        finally:
            part.unlink(missing_ok=True)
    return Saved(path=str(into), bytes=into.stat().st_size, files=count, keys=keys)


def restore(data: Path, source: Path) -> Saved:
    """Make in ``data``, which holds no console, the one that ``source`` holds.

    Raises:
        MisuseError: There is a console already, or nothing to restore.
        MalformedError: ``source`` is no backup, or leads out of the folder.

    """
    if (data / DATABASE).exists() or (data / "repo").exists():
        raise MisuseError(f"{data}: a console is there already; name another folder")
    if not source.is_file():
        raise MisuseError(f"{source}: no such file")
    durable.make_folder(data, mode=0o700)
    count, with_keys = 0, False
    with storage_errors(data):
        try:
            with tarfile.open(source, "r:") as tar:
                for name, member in _members(tar, source):
                    with_keys |= name.parts[0] == KEYS
                    _extract(tar, member, data / name)
                    count += 1
        except tarfile.TarError as e:
            raise MalformedError(f"{source}: expected a backup, found something else: {e}") from e
    return Saved(path=str(data), bytes=source.stat().st_size, files=count, keys=with_keys)


def _write(data: Path, file: io.BufferedIOBase, *, keys: bool) -> int:
    count = 0
    with tarfile.open(fileobj=file, mode="w:") as tar, tempfile.TemporaryDirectory() as folder:
        stamp = tarfile.TarInfo(_FORMAT)
        stamp.size = len(_VERSION)
        tar.addfile(stamp, io.BytesIO(_VERSION))
        copy = Path(folder) / DATABASE
        with (
            closing(sqlite3.connect(f"file:{data / DATABASE}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(copy)) as kept,
        ):
            live.backup(kept)
        _add(tar, copy, DATABASE)
        for part in (*FOLDERS, *((KEYS,) if keys else ())):
            for path in sorted((data / part).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    _add(tar, path, path.relative_to(data).as_posix())
                    count += 1
    return count + 1


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size = os.fstat(file.fileno()).st_size
        tar.addfile(member, file)


def _members(tar: tarfile.TarFile, source: Path) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    """Walk the files of a backup; names are checked here and nothing else is extracted."""
    first = tar.next()
    if first is None or first.name != _FORMAT:
        raise MalformedError(f"{source}: expected a backup made by 'littoral console backup'")
    while (member := tar.next()) is not None:
        name = PurePosixPath(member.name)
        known = member.name == DATABASE or (
            len(name.parts) > 1 and name.parts[0] in {*FOLDERS, KEYS}
        )
        if not member.isreg() or not known or ".." in name.parts or name.is_absolute():
            raise MalformedError(f"{source}: {member.name[:100]!r} does not belong in a backup")
        yield name, member


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    secret = into.name == DATABASE or into.parent.name in _SECRET
    durable.make_folder(into.parent, mode=0o700 if secret else 0o755)
    found = tar.extractfile(member)
    if found is None:
        raise MalformedError(f"{member.name}: is no file")
    chunks = iter(lambda: found.read(1024 * 1024), b"")
    durable.replace_from(into, chunks, mode=0o600 if secret else 0o644)
