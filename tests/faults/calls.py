"""The system calls of a victim, by strace: which ones it makes, and what is done at the n-th."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OPENS: Final = ("openat",)
ON_FILES: Final = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "fchmod")
ON_NAMES: Final = ("rename", "renameat2", "unlink", "unlinkat", "mkdir", "rmdir", "link", "symlink")
READS: Final = ("read", "pread64")
SOCKETS: Final = ("socket",)
CHANGES: Final = (*OPENS, *ON_FILES, *ON_NAMES)
ALL: Final = (*CHANGES, *READS, *SOCKETS)

_ENTRY: Final = re.compile(r"^(?:(?P<pid>\d+) +)?(?P<call>\w+)\((?P<rest>.*)$")
_WRITES: Final = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC)")


@dataclass(frozen=True, slots=True)
class Call:
    """The ``nth`` call of a name (from 1) in a thread, and what it is about: for people."""

    name: str
    nth: int
    about: str
    here: bool  # whether it is about anything below the device's folder
    changes: bool  # whether it changes anything there

    def __str__(self) -> str:
        return f"{self.name}#{self.nth} {self.about}"


@dataclass(frozen=True, slots=True)
class Injection:
    """What happens at a call: it is never made. ``lasting``: nor at any later one of its name."""

    call: str
    nth: int
    what: str  # signal=SIGKILL, error=ENOSPC
    lasting: bool = False

    @property
    def argument(self) -> str:
        return f"inject={self.call}:{self.what}:when={self.nth}{'+' if self.lasting else ''}"


def read(trace: Path, root: Path) -> list[Call]:
    """Return the calls of a run that a trace holds, in their order."""
    return _calls(trace.read_text(errors="replace").splitlines(), root)


def _calls(lines: Iterable[str], root: Path) -> list[Call]:
    seen: Counter[tuple[str | None, str]] = Counter()  # strace counts for each thread
    found = []
    for line in lines:
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        name, rest = entry["call"], entry["rest"]
        seen[entry["pid"], name] += 1
        on_file = name in (*ON_FILES, *READS)  # what is written may name anything
        here = str(root) in (rest.split('"')[0] if on_file else rest)
        changes = here and name in CHANGES and (name not in OPENS or bool(_WRITES.search(rest)))
        about = rest.replace(f"{root}/", "")[:160]
        found.append(Call(name, seen[entry["pid"], name], about, here, changes))
    return found


def injected(trace: Path, root: Path) -> list[Call]:
    """Return the calls that were answered with an error: which ones is known only afterwards."""
    lines = trace.read_text(errors="replace").splitlines()
    return _calls((line for line in lines if line.endswith("(INJECTED)")), root)


@contextmanager
def traced(
    pid: int,
    trace: Path,
    *injections: Injection,
    calls: tuple[str, ...] = (),
    follow: bool = True,
) -> Iterator[None]:
    """Trace ``pid``; on entering the block strace is attached.

    Who does not ``follow`` its threads and children leaves those alone.
    """
    wanted = dict.fromkeys((*calls, *(one.call for one in injections)))
    words = ["-f"] if follow else []
    words += ["-y", "-q", "-s", "48", "-o", str(trace)]
    words += ["-e", "trace=" + ",".join(wanted), "-e", "signal=none"]
    for one in injections:
        words += ["-e", one.argument]
    with strace(pid, *words):
        yield


@contextmanager
def strace(pid: int, *words: str) -> Iterator[None]:
    """Have a hold of ``pid``, which waits; when the block is done, wait until it has ended."""
    tracer = subprocess.Popen(
        ["strace", *words, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        attached(pid, tracer)
        yield
        tracer.wait(60)
    finally:
        tracer.terminate()
        tracer.communicate()


def attached(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    """Return when ``tracer`` has a hold of ``pid``, which waits."""
    deadline = time.monotonic() + 20
    while f"TracerPid:\t{tracer.pid}\n" not in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None or time.monotonic() > deadline:
            said = tracer.stderr.read().decode() if tracer.stderr else ""
            raise RuntimeError(f"strace did not attach to {pid}: {said}")
        time.sleep(0.002)
    time.sleep(0.005)  # it is seized, and about to be stopped
