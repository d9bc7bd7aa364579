"""Brings files that are named by their sha256, and keeps whatever arrived of them.

The next try goes on where the last one's part ends. What turns out to be other bytes is dropped
at once, and a source that sends hardly any is given up.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from littoral import durable
from littoral.bundle.manifest import File
from littoral.errors import (
    DiskFullError,
    EndlessError,
    HashError,
    SlowError,
    UnreachableError,
)
from littoral.tree import Tree
from littoral_agent.halting import Halt
from littoral_agent.origin import SLOW_OVER_S, Stream, Streams
from littoral_agent.pace import Rate
from littoral_agent.part import Part, blob_name
from littoral_agent.room import Room
from littoral_agent.turns import Turns
from littoral_agent.usage import Usage

MOST_STRIKES: Final = 2  # how often a source may send other bytes for one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a download may cost, and how slow it may be."""

    reserve_bytes: int = 0  # of free space that is not touched
    min_rate_bytes_per_s: float = 0.0
    turns: Turns = field(default_factory=Turns)  # at one file, of all who share the tree
    room: Room = field(default_factory=Room)  # on its disk, of the same
    usage: Usage | None = None  # counts what comes over the network
    rate: Rate | None = None  # slows it down
    clock: Callable[[], float] = time.monotonic


def bring(
    files: Iterable[File],
    source: Streams,
    tree: Tree,
    *,
    limits: Limits,
    halt: Halt,
) -> int:
    """Make every one of ``files`` be in ``tree``, whole; return how many bytes came.

    ``halt`` ends the download; what has arrived stays. What another thread is bringing already
    is waited for.

    Raises:
        DiskFullError: There is no room; before the first byte, if that can be known.
        HashError, EndlessError: The source sends other bytes than were signed.
        SlowError: It sends too few.
        ForgottenError, DeniedError: It does not send any.
        UnreachableError: It does not answer, or was cut off: try again.
        SpentError: This month's bytes are used up.
        HaltedError: It is no longer wanted.

    """
    files = _each_once(files)
    check = partial(check_room, files, tree, reserve_bytes=limits.reserve_bytes)
    came = 0
    with limits.room.of(files, halt, check=lambda others: check(others=others)):
        for file in files:
            with limits.turns.of(file.sha256, halt):
                if not tree.blob(file.sha256).exists():
                    came += _download(file, source, tree, limits=limits, halt=halt)
    return came


def check_room(
    files: Iterable[File], tree: Tree, *, reserve_bytes: int, others: Iterable[File] = ()
) -> int:
    """Return how many bytes are still to come, for which there is room beside ``others``.

    Raises DiskFullError.
    """
    files = _each_once(files)
    needed = _missing(files, tree)
    filled = _missing(_each_once([*files, *others]), tree)
    with durable.storage_errors(tree.blobs):
        disk = os.statvfs(tree.blobs)
    free = disk.f_bavail * disk.f_frsize
    if needed and free - filled < reserve_bytes:
        raise DiskFullError(
            f"{tree.root}: expected {filled} bytes and a reserve of {reserve_bytes} to be free, "
            f"found {free}; free some space, or lower disk_reserve_bytes"
        )
    return needed


def arrived(files: Iterable[File], tree: Tree) -> int:
    """Return how many bytes of ``files`` are here: what grows as long as there is progress."""
    return sum(
        file.size if tree.blob(file.sha256).exists() else _size(tree.part(file.sha256))
        for file in _each_once(files)
    )


def _missing(files: list[File], tree: Tree) -> int:
    return sum(file.size for file in files) - arrived(files, tree)


def drop_damaged(files: Iterable[File], tree: Tree) -> list[str]:
    """Delete those of ``files`` whose bytes on the disk are no longer theirs; return which."""
    damaged = []
    for file in _each_once(files):
        path = tree.blob(file.sha256)
        if path.exists() and _digest(path) != file.sha256:
            durable.remove(path)
            damaged.append(file.sha256)
    return damaged


class _Pace:
    """Sees to it that a source does not keep us waiting for ever with a byte now and then."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name, self._limits = name, limits
        self._since, self._came = limits.clock(), 0

    def paused(self, seconds: float) -> None:
        """Leave a pause of our own out of account."""
        self._since += seconds

    def moved(self, count: int) -> None:
        """Count bytes. Raises SlowError when too few came over the last half minute."""
        self._came += count
        passed = self._limits.clock() - self._since
        if passed < SLOW_OVER_S:
            return
        rate = self._came / passed
        if rate < self._limits.min_rate_bytes_per_s:
            raise SlowError(
                f"{self._name}: {rate:.0f} bytes a second; expected at least "
                f"{self._limits.min_rate_bytes_per_s:.0f}"
            )
        self._since, self._came = self._limits.clock(), 0


def _download(file: File, source: Streams, tree: Tree, *, limits: Limits, halt: Halt) -> int:
    """Bring one file; return how many bytes came."""
    came = strikes = 0
    while strikes < MOST_STRIKES:
        part = Part(file, tree)
        with halt.going():
            part.open()
        with part:
            try:
                # What is here already may be what a power cut left of it: nobody's fault.
                strikes += part.held == 0
                came += _fill(part, source, limits=limits, halt=halt)
            except (HashError, EndlessError):
                with halt.going():
                    part.drop()
                raise
            with halt.going():
                if part.is_true:
                    part.keep()
                    return came
                part.drop()
    raise HashError(blob_name(file), signed=file.sha256, found="other bytes")


def _fill(part: Part, source: Streams, *, limits: Limits, halt: Halt) -> int:
    """Receive what is missing; return how many bytes came."""
    name, came = blob_name(part.file), 0
    if part.held == part.file.size:
        return 0
    pace = _Pace(name, limits)
    with source.stream(name, start=part.held) as stream, halt.ended_by(stream.end):
        _check_length(part.file, stream)
        if stream.start == 0 and part.held:
            with halt.going():
                part.restart()
        elif stream.start != part.held:
            raise UnreachableError(f"{name}: expected byte {part.held}, found {stream.start}")
        for chunk in _counted(stream, limits, expected=part.file.size - part.held):
            with halt.going():
                part.write(chunk)
            came += len(chunk)
            pace.moved(len(chunk))
            if limits.rate is not None and stream.metered:
                pause_s = limits.rate.took(len(chunk))
                halt.wait(pause_s)
                pace.paused(pause_s)
    if part.held < part.file.size:
        raise UnreachableError(f"{name}: cut off after {part.held} of {part.file.size} bytes")
    return came


def _counted(stream: Stream, limits: Limits, *, expected: int) -> Iterator[bytes]:
    """Walk the chunks; what comes over the network is counted before it comes."""
    if limits.usage is None or not stream.metered:
        return stream.chunks
    return limits.usage.counted(stream.chunks, expected=expected)


def _check_length(file: File, stream: Stream) -> None:
    if stream.total is None or stream.total == file.size:
        return
    if stream.total > file.size:
        raise EndlessError(blob_name(file), limit=file.size)
    raise HashError(blob_name(file), signed=str(file.size), found=str(stream.total), kind="length")


def _each_once(files: Iterable[File]) -> list[File]:
    return list({file.sha256: file for file in files}.values())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _digest(path: Path) -> str:
    with durable.storage_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
