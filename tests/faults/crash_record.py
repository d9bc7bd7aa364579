"""Writes down what a process does to a folder, and what lay there before it began."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from faults.calls import strace
from faults.crash_disk import Disk
from faults.crash_file import Write
from faults.crash_trace import left_out

_WORDS: Final = ("-q", "-xx", "-s", "16777216", "-e", "trace=%file,%desc")


@contextmanager
def recorded(pid: int, trace: Path, *, follow: bool = True) -> Iterator[None]:
    """Write down what ``pid``, which waits, does until it ends.

    Who does not ``follow`` leaves alone what its children do, who change nothing there.
    """
    words = [*_WORDS, *(["-f"] if follow else []), "-e", "signal=none", "-o", str(trace)]
    with strace(pid, *words):
        yield


def load(root: Path) -> Disk:
    """Return a disk that surely holds what is below ``root``."""
    disk = Disk()
    nodes = {root: 0}
    for path in sorted(root.rglob("*")):
        if path.parent not in nodes or left_out(path.relative_to(root).as_posix()):
            continue
        slot = (nodes[path.parent], path.name)
        if path.is_dir():
            nodes[path] = disk.make_folder(slot)
        else:
            node = disk.make_file(slot, path.stat().st_mode & 0o777)
            disk.write(node, Write(0, path.read_bytes()))
    disk.sync_all()
    return disk
