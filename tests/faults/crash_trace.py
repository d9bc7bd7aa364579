"""What a process did to a folder, call by call with its bytes, from strace's words.

What changes a file and is not known here is an error: nothing is left out unsaid.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.crash_disk import Disk, Slot
from faults.crash_file import Write
from faults.crash_marks import MARKS
from faults.crash_words import Words

# These leave nothing that a power cut could change, or what they leave is nobody's: locks, times.
_PASSIVE: Final = {
    name
    for names in (
        "access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs readlink",
        "readlinkat getcwd chdir fchdir getdents64 pread64 preadv flock ioctl poll ppoll select",
        "pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait fadvise64 munmap execve socket",
        "pipe pipe2 eventfd2 accept accept4 inotify_add_watch utimensat getxattr lgetxattr fchown",
    )
    for name in names.split()
}
_LEFT_OUT: Final = ("run", "-shm")  # sockets and locks; SQLite makes its index anew after a cut


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened: a change, an fsync, or what the process said itself."""

    kind: str  # call; sync, or idle if there was nothing to keep; or a mark's
    about: str


@dataclass
class _Open:
    node: int
    at: int = 0
    append: bool = False


@dataclass
class Replay:
    """Does to ``disk`` what a trace says; fsyncs of the site ``without`` are left out."""

    root: str
    disk: Disk
    without: str | None = None
    _open: dict[int, _Open] = field(default_factory=dict)
    _site: str | None = None
    _words: Words = field(default_factory=Words)

    def steps(self, trace: Path) -> Iterator[Step]:
        """Do one call after the other; yield after each that changed or said anything."""
        with trace.open() as lines:
            for line in lines:
                step = self._line(line.rstrip("\n"))
                if step is not None:
                    yield step

    def _line(self, line: str) -> Step | None:
        call = self._words.call(line)
        if call is None:
            return None
        name, arguments, result = call
        if name in ("access", "faccessat2") and (mark := self._mark(arguments)):
            return mark
        if result < 0:
            return None
        if name in ("fsync", "fdatasync"):
            return self._synced(name, int(arguments[0]))
        handle: Callable[..., str | None] | None = getattr(self, f"_{name}", None)
        if handle is not None:
            about = handle(result, *arguments)
            return None if about is None else Step("call", f"{name} {about}")
        if name not in _PASSIVE and self._concerns(arguments):
            raise ValueError(f"not known here: {line[:300]}")
        return None

    def _mark(self, arguments: list[str]) -> Step | None:
        said = next((one for one in arguments if one.startswith(MARKS)), None)
        if said is None:
            return None
        kind, _, about = said.removeprefix(MARKS).partition("/")
        if kind == "site":
            self._site = about
            return None
        return Step(kind, about.removeprefix(self.root.removeprefix("/")).lstrip("/"))

    def _synced(self, name: str, fd: int) -> Step | None:
        held, site, self._site = self._open.get(fd), self._site, None
        if held is None:
            return None
        label = site or f"sqlite: {self._called(held.node)}"
        kind = "sync" if self.disk.is_loose(held.node) else "idle"
        if label != self.without:
            self.disk.sync(held.node, mode=name == "fsync")
        return Step(kind, label)

    # Calls that open and close.

    def _openat(self, fd: int, at: str, path: str, flags: str, mode: str = "0") -> str | None:
        self._open.pop(fd, None)
        slot = self._slot(at, path)
        if slot is None:
            return None
        node, about = (0 if slot == _ROOT else self.disk.at(slot)), None
        if node is None:
            node, about = self.disk.make_file(slot, int(mode, 8)), path
        elif "O_TRUNC" in flags and self.disk.files[node].now:
            self.disk.write(node, Write(0))
            about = f"{path}, to nothing"
        self._open[fd] = _Open(node, append="O_APPEND" in flags)
        return about

    def _close(self, _: int, fd: str) -> None:
        self._open.pop(int(fd), None)

    def _fcntl(self, result: int, fd: str, what: str, *_: str) -> None:
        if what.startswith("F_DUPFD") and int(fd) in self._open:
            self._open[result] = self._open[int(fd)]

    def _mmap(self, _: int, *words: str) -> None:
        if int(words[4]) in self._open and "PROT_WRITE" in words[2] and words[3] != "MAP_PRIVATE":
            raise ValueError(f"written by memory: {self._called(self._open[int(words[4])].node)}")

    def _read(self, count: int, fd: str, *_: str) -> None:
        if int(fd) in self._open:
            self._open[int(fd)].at += count

    def _lseek(self, at: int, fd: str, *_: str) -> None:
        if int(fd) in self._open:
            self._open[int(fd)].at = at

    # Calls that change bytes.

    def _write(self, count: int, fd: str, data: str, *_: str) -> str | None:
        held = self._open.get(int(fd))
        if held is None or held.node not in self.disk.files:
            return None
        if held.append:
            held.at = len(self.disk.files[held.node].now)
        self.disk.write(held.node, Write(held.at, data.encode("latin-1")[:count]))
        held.at += count
        return f"{self._called(held.node)}, {count} bytes"

    def _pwrite64(self, count: int, fd: str, data: str, _: str, at: str) -> str | None:
        held = self._open.get(int(fd))
        if held is None:
            return None
        self.disk.write(held.node, Write(int(at), data.encode("latin-1")[:count]))
        return f"{self._called(held.node)}, {count} bytes at {at}"

    def _ftruncate(self, _: int, fd: str, length: str) -> str | None:
        held = self._open.get(int(fd))
        if held is None:
            return None
        self.disk.write(held.node, Write(int(length)))
        return f"{self._called(held.node)}, to {length} bytes"

    def _fchmod(self, _: int, fd: str, mode: str) -> str | None:
        held = self._open.get(int(fd))
        if held is None or held.node not in self.disk.files:
            return None
        self.disk.chmod(held.node, int(mode, 8))
        return f"{self._called(held.node)}, {mode}"

    def _chmod(self, _: int, path: str, mode: str) -> None:
        slot = self._slot("AT_FDCWD", path)
        node = self.disk.at(slot) if slot else None
        if node in self.disk.files:
            raise ValueError(f"not known here: chmod {path} {mode}")

    # Calls that change names.

    def _rename(self, _: int, source: str, target: str) -> str | None:
        one, other = self._slot("AT_FDCWD", source), self._slot("AT_FDCWD", target)
        if one is None or other is None:
            return None
        self.disk.rename(one, other)
        return f"{source.rpartition('/')[2]} to {target.rpartition('/')[2]}"

    def _unlink(self, _: int, path: str) -> str | None:
        return self._unlinkat(0, "AT_FDCWD", path)

    def _rmdir(self, _: int, path: str) -> str | None:
        return self._unlinkat(0, "AT_FDCWD", path)

    def _unlinkat(self, _: int, at: str, path: str, *__: str) -> str | None:
        slot = self._slot(at, path)
        if slot is None:
            return None
        self.disk.remove(slot)
        return path

    def _mkdir(self, _: int, path: str, *__: str) -> str | None:
        slot = self._slot("AT_FDCWD", path)
        if slot is None:
            return None
        self.disk.make_folder(slot)
        return path

    # Where things are.

    def _slot(self, at: str, path: str) -> Slot | None:
        """Return what ``path`` names below the root, None if it is elsewhere or left out."""
        if path.startswith("/"):
            if path != self.root and not path.startswith(f"{self.root}/"):
                return None
            path, folder = path.removeprefix(self.root).strip("/"), 0
            if not path:
                return _ROOT
            if left_out(path):
                return None
        else:
            held = None if at == "AT_FDCWD" else self._open.get(int(at))
            if held is None:
                return None
            folder = held.node
        *above, name = path.split("/")
        for one in above:
            node = self.disk.at((folder, one))
            if node is None:
                return None
            folder = node
        return folder, name

    def _concerns(self, arguments: list[str]) -> bool:
        """Whether a call is about anything below the root."""
        paths = any(self._slot("AT_FDCWD", one) for one in arguments if one.startswith("/"))
        return paths or (arguments[0].isdigit() and int(arguments[0]) in self._open)

    def _called(self, node: int) -> str:
        return self.disk.path(node) or "a file without a name"


_ROOT: Final[Slot] = (-1, "")


def left_out(path: str) -> bool:
    """Whether ``path``, below the root, is not looked at."""
    return path.split("/", maxsplit=1)[0] == _LEFT_OUT[0] or path.endswith(_LEFT_OUT[1])
