"""A disk whose power is cut at the n-th write, and which then has what was promised, or less.

    for n in itertools.count():
        with Disk(folder, cut_at=n, keeps="synced") as disk:
            device.deed()                       # the cut ends it, and all cleaning up too
        ...                                     # wake up again, on what the disk has
        if not disk.was_cut:
            break

Counted is every write, fsync, rename and removal below ``folder``, through ``os`` as
littoral.durable does it. ``keeps`` says what survives: ``all`` that was written, as a kill
leaves it; only what was ``synced``, as a power cut may leave it: names that were not fsynced
with their folder are the old ones, and what was moved from another folder lies there still; or
``names``: they are new, but bytes that were not fsynced before are gone.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

_PATCHED = ("open", "write", "fsync", "replace", "unlink", "close")


class PowerCutError(BaseException):
    """No handler of errors may survive it."""


class Disk:
    """The file system below ``folder``, for as long as the block lasts."""

    def __init__(
        self, folder: Path, *, cut_at: int, keeps: Literal["all", "synced", "names"] = "all"
    ) -> None:
        self._folder, self._left, self._keeps = str(folder.resolve()), cut_at, keeps
        self.was_cut = False
        self._paths: dict[int, str] = {}  # of what is open
        self._loose: set[str] = set()  # files whose bytes were not fsynced
        # What names meant, until a folder is fsynced.
        self._before: list[tuple[str, bytes | None, Path]] = []
        self._os: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _PATCHED}

    def __enter__(self) -> Self:
        for name in _PATCHED:
            setattr(os, name, getattr(self, f"_{name}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> bool:
        for name, function in self._os.items():
            setattr(os, name, function)
        if not self.was_cut:
            return False
        for fd in list(self._paths):
            with suppress(OSError):
                os.close(fd)
        if self._keeps == "names":
            for path in self._loose:
                if Path(path).exists():
                    Path(path).write_bytes(b"")
        if self._keeps == "synced":
            for path, data, _until in reversed(self._before):
                _restore(Path(path), data)
        return kind is not None and issubclass(kind, PowerCutError)

    def _step(self) -> None:
        if self.was_cut or self._left <= 0:
            self.was_cut = True
            raise PowerCutError
        self._left -= 1

    def _mine(self, path: Any) -> str | None:
        if not isinstance(path, str | os.PathLike):
            return None
        full = str(Path(os.fspath(path)).absolute())
        return full if full.startswith(self._folder) else None

    def _open(self, path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
        mine = self._mine(path)
        if mine and flags & os.O_CREAT:
            self._step()
            self._loose.add(mine)
        fd = self._os["open"](path, flags, *args, **kwargs)
        if mine:
            self._paths[fd] = mine
        return fd

    def _close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        self._os["close"](fd)

    def _write(self, fd: int, data: Any) -> Any:
        if fd in self._paths:
            self._step()
        return self._os["write"](fd, data)

    def _fsync(self, fd: int) -> None:
        if fd in self._paths:
            self._step()
            path = self._paths[fd]
            self._loose.discard(path)
            self._before = [one for one in self._before if one[2] != Path(path)]
        self._os["fsync"](fd)

    def _replace(self, source: Any, target: Any, **kwargs: Any) -> None:
        new, old = self._mine(target), self._mine(source)
        if new and old:
            self._step()
            if Path(old).parent != Path(new).parent:
                self._remember(old, until=Path(new).parent)
            self._remember(new, until=Path(new).parent)
            if old in self._loose:
                self._loose.discard(old)
                self._loose.add(new)
        self._os["replace"](source, target, **kwargs)

    def _unlink(self, path: Any, **kwargs: Any) -> None:
        mine = self._mine(path)
        if mine:
            self._step()
            self._remember(mine, until=Path(mine).parent)
        self._os["unlink"](path, **kwargs)

    def _remember(self, path: str, *, until: Path) -> None:
        data = Path(path).read_bytes() if Path(path).exists() else None
        self._before.append((path, data, until))


def _restore(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(data)
