"""Brings one blob from a source into its part: resumed, counted, hashed, and not too slowly.

What turns out to be other bytes is dropped at once, and a source that sends hardly any is given up.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from littoral.bundle.manifest import Blob
from littoral.errors import EndlessError, HashError, SlowError, UnreachableError
from littoral.tree import Tree
from littoral_agent.coming import Errand
from littoral_agent.halting import Halt
from littoral_agent.pace import Rate
from littoral_agent.part import Part, blob_name
from littoral_agent.room import Room
from littoral_agent.streams import SLOW_OVER_S, Stream, Streams
from littoral_agent.struck import Struck
from littoral_agent.turns import Turns
from littoral_agent.usage import Usage

MOST_STRIKES: Final = 2  # how often a source may send other bytes for one blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a download may cost, and how slow it may be."""

    about: str = "files"  # whose they are, as ``digits:2``
    reserve_bytes: int = 0  # of free space that is not touched
    min_rate_bytes_per_s: float = 0.0
    encoded: bool = True  # encodings are asked for, where they are fewer bytes
    turns: Turns = field(default_factory=Turns)  # at one file, of all who share the tree
    room: Room = field(default_factory=Room)  # on its disk, of the same
    struck: Struck = field(default_factory=Struck)  # encodings that are asked for no more
    usage: Usage | None = None  # counts what comes over the network
    rate: Rate | None = None  # slows it down
    errand: Errand = field(default_factory=Errand)  # shows how far it is
    clock: Callable[[], float] = time.monotonic


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


def download(
    blob: Blob,
    source: Streams,
    tree: Tree,
    *,
    limits: Limits,
    halt: Halt,
    came: Callable[[int], object],
    whole: Callable[[Part], object],
) -> None:
    """Bring ``blob``, whose part is then ``whole``; ``came`` is told of each chunk's bytes.

    Raises:
        HashError, EndlessError: The source sends other bytes than were signed.
        SlowError, ForgottenError, DeniedError: It sends too few, or none.
        UnreachableError: It does not answer, or was cut off: try again.
        SpentError: This month's bytes are used up.
        StorageError: The disk does not keep it.
        HaltedError: It is no longer wanted.

    """
    strikes = 0
    while strikes < MOST_STRIKES:
        part = Part(blob, tree)
        with halt.going():
            part.open()
        with part:
            try:
                # What is here already may be what a power cut left of it: nobody's fault.
                strikes += part.held == 0
                _fill(part, source, limits=limits, halt=halt, came=came)
            except (HashError, EndlessError):
                with halt.going():
                    part.drop()
                raise
            with halt.going():
                if part.is_true:
                    whole(part)
                    return
                part.drop()
    raise HashError(blob_name(blob), signed=blob.sha256, found="other bytes")


def _fill(
    part: Part, source: Streams, *, limits: Limits, halt: Halt, came: Callable[[int], object]
) -> None:
    """Receive what is missing."""
    name = blob_name(part.blob)
    if part.held == part.blob.size:
        return
    pace = _Pace(name, limits)
    with source.stream(name, start=part.held) as stream, halt.ended_by(stream.end):
        _check_length(part.blob, stream)
        if stream.start == 0 and part.held:
            with halt.going():
                part.restart()
        elif stream.start != part.held:
            raise UnreachableError(f"{name}: expected byte {part.held}, found {stream.start}")
        for chunk in _counted(stream, limits, expected=part.blob.size - part.held):
            with halt.going():
                part.write(chunk)
            came(len(chunk))
            pace.moved(len(chunk))
            if limits.rate is not None and not stream.offline:
                pause_s = limits.rate.took(len(chunk))
                halt.wait(pause_s)
                pace.paused(pause_s)
    if part.held < part.blob.size:
        raise UnreachableError(f"{name}: cut off after {part.held} of {part.blob.size} bytes")


def _counted(stream: Stream, limits: Limits, *, expected: int) -> Iterator[bytes]:
    """Walk the chunks; what comes over the network is counted before it comes."""
    if limits.usage is None or stream.offline:
        return stream.chunks
    return limits.usage.counted(stream.chunks, expected=expected)


def _check_length(blob: Blob, stream: Stream) -> None:
    if stream.total is None or stream.total == blob.size:
        return
    if stream.total > blob.size:
        raise EndlessError(blob_name(blob), limit=blob.size)
    raise HashError(blob_name(blob), signed=str(blob.size), found=str(stream.total), kind="length")
