"""Results of steps, kept by what they depend on: a repeated recipe redoes only what changed.

An entry is a folder: what the step left in the workshop, and one file, named by its own digest,
that says what that is and what the step answered. It is made under another name and renamed, so
that two conversions at once, a kill or a full disk leave a whole entry or none. Whatever is not as
it was written is thrown away, and the step done anew: nothing here can make a conversion fail.
"""

import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

from littoral import records
from littoral.records import RecordError
from littoral_converter.worker import Cost

T = TypeVar("T")

MOST_BYTES: Final = 5 * 2**30
_MOST_ENTRY: Final = 2 * 2**30
_MOST_ABOUT: Final = 16 * 2**20
_CHUNK: Final = 2**20
_FORGOTTEN_S: Final = 3600.0  # what a kill left behind is not being written any more
_OURS: Final = (".job.json", ".log")  # of the worker, about each step


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A file that a step left, by its path in the workshop."""

    name: str
    sha256: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{self.name!r} is no path in a workshop")


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    key: str  # an entry under another name is another step's
    cost: Cost
    files: tuple[_Left, ...]
    result: Any


Before = dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    folder: Path
    most_bytes: int = MOST_BYTES

    def take(self, key: str, cls: type[T], into: Path) -> tuple[T, Cost] | None:
        """Put the files of ``key`` into ``into``; return the result and what it cost to make.

        None if there is no such entry, or it is not what was written.
        """
        entry = self.folder / key
        made: list[Path] = []
        try:
            about = _about(entry)
            if about.key != key:
                raise RecordError("the entry of another step")  # noqa: TRY301 (as all below)
            result = records.fill(cls, about.result)
            for number, left in enumerate(about.files):
                made.append(into / f".cached-{number}")
                if _copy(entry / str(number), made[-1]) != left.sha256:
                    raise RecordError("a file was changed")  # noqa: TRY301 (as all that is wrong)
            for path, left in zip(made, about.files, strict=True):
                (into / left.name).parent.mkdir(parents=True, exist_ok=True)
                path.rename(into / left.name)
            os.utime(entry)
        except FileNotFoundError:
            return None
        except (OSError, RecordError):
            self._drop(entry)
            return None
        else:
            return result, about.cost
        finally:
            for path in made:
                path.unlink(missing_ok=True)

    def put(self, key: str, result: object, cost: Cost, *, folder: Path, before: Before) -> None:
        """Keep a result, and what is in ``folder`` that was not there ``before``."""
        fresh = self.folder / f".new-{secrets.token_hex(8)}"
        try:
            names = [name for name, was in look(folder).items() if before.get(name) != was]
            if sum((folder / name).stat().st_size for name in names) > _MOST_ENTRY:
                return
            fresh.mkdir(mode=0o700)
            left = tuple(
                _Left(name=name, sha256=_copy(folder / name, fresh / str(number)))
                for number, name in enumerate(names)
            )
            about = records.to_json(
                _About(key=key, cost=cost, files=left, result=records.plain(result))
            )
            (fresh / f"{hashlib.sha256(about).hexdigest()}.json").write_bytes(about)
            fresh.rename(self.folder / key)
            self._shrink()
        except OSError:
            return  # another conversion was quicker, or the disk keeps nothing: no harm is done
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _shrink(self) -> None:
        """Drop what was used least lately until the rest is small enough."""
        entries, total = [], 0
        for entry in os.scandir(self.folder):
            with suppress(OSError):
                used = entry.stat().st_mtime
                if entry.name.startswith("."):
                    if used < time.time() - _FORGOTTEN_S:
                        shutil.rmtree(entry.path, ignore_errors=True)
                    continue
                size = sum(file.stat().st_size for file in os.scandir(entry.path))
                entries.append((used, size, Path(entry.path)))
                total += size
        for _, size, path in sorted(entries):
            if total <= self.most_bytes:
                return
            self._drop(path)
            total -= size

    def _drop(self, entry: Path) -> None:
        """Make ``entry`` not be there, at once for whoever looks."""
        gone = self.folder / f".gone-{secrets.token_hex(8)}"
        with suppress(OSError):
            entry.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def opened() -> Cache | None:
    """Return this user's cache, None where there can be none, or others could write in it."""
    said = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(said) if said.startswith("/") else Path.home() / ".cache"
        folder = home / "littoral" / "conversions"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):
        return None
    others = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & others:
        return None
    return Cache(folder=folder)


def look(folder: Path) -> Before:
    """Return which files are in ``folder``, and what tells that one has changed."""
    return dict(_look(folder))


def _look(folder: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and not path.name.endswith(_OURS):
            change = (found.st_ino, found.st_size, found.st_mtime_ns)
            yield path.relative_to(folder).as_posix(), change


def _about(entry: Path) -> _About:
    """Return what ``entry`` says of itself. Raises FileNotFoundError and RecordError."""
    named = [path for path in entry.iterdir() if path.suffix == ".json"]
    if len(named) != 1:
        raise RecordError("expected one file about the others")
    data = named[0].read_bytes()
    if hashlib.sha256(data).hexdigest() != named[0].stem:
        raise RecordError("the file about the others was changed")
    return records.from_json(_About, data, limit=_MOST_ABOUT)


def _copy(source: Path, target: Path) -> str:
    """Copy a file; return its digest."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("xb") as written:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()
