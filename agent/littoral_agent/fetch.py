"""Brings files that are named by their sha256, each in the way that costs the fewest bytes.

An encoding is brought as a file is, into a part of its own, and then decoded. Where that does
not go well, the next cheapest way is taken: the file as it is always is one. What has arrived of
anything is gone on with. Which ways there are is known to littoral_agent.ways.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from littoral import durable
from littoral.bundle.manifest import Encoding, File
from littoral.errors import (
    DiskFullError,
    EncodingError,
    EndlessError,
    ForgottenError,
    HashError,
    LittoralError,
)
from littoral.sizes import size
from littoral.tree import Tree
from littoral_agent.download import Limits, download
from littoral_agent.halting import Halt
from littoral_agent.part import Part
from littoral_agent.streams import Streams
from littoral_agent.ways import Way, Ways, each_once


@dataclass(slots=True)
class Brought:
    """What came, and how: files by kind, ``plain`` for those that came as they are."""

    bytes: int = 0  # that came for them, in whatever encoding
    files: dict[str, int] = field(default_factory=dict)
    struck: int = 0  # encodings from which no file came
    source: str = ""  # what people call it

    def came(self, count: int) -> None:
        self.bytes += count

    def whole(self, kind: str) -> None:
        self.files[kind] = self.files.get(kind, 0) + 1


def bring(
    files: Iterable[File],
    source: Streams,
    tree: Tree,
    *,
    limits: Limits,
    halt: Halt,
) -> Brought:
    """Make every one of ``files`` be in ``tree``, whole; return what came.

    ``halt`` ends the download; what has arrived stays. What another thread is bringing already
    is waited for.

    Raises:
        DiskFullError: There is no room; before the first byte, if that can be known.
        HashError, EndlessError: The source sends other bytes than were signed.
        SlowError: It sends too few.
        ForgottenError, DeniedError: It does not send any.
        UnreachableError: It does not answer, or was cut off: try again.
        SpentError: This month's bytes are used up.
        StarvedError: There is no memory to decode what came: try again.
        HaltedError: It is no longer wanted.

    """
    return _Errand(each_once(files), source, tree, limits, halt).run()


def check_room(files: Iterable[File], tree: Tree, *, limits: Limits) -> int:
    """Return how many bytes are still to come for ``files``, if there is room for them.

    Raises DiskFullError.
    """
    ways = Ways(tree=tree, encoded=limits.encoded, given_up=limits.struck.__contains__)
    files = each_once(files)
    return _fitting(files, ways, reserve_bytes=limits.reserve_bytes).wire(files)


class _Errand:
    """One source's try at bringing ``files``."""

    def __init__(
        self, files: Sequence[File], source: Streams, tree: Tree, limits: Limits, halt: Halt
    ) -> None:
        self._files, self._source, self._tree = files, source, tree
        self._limits, self._halt = limits, halt
        self._brought, self._absent = Brought(source=str(source)), set[str]()
        self._ways = Ways(tree=tree, encoded=limits.encoded, given_up=self._given_up)

    def run(self) -> Brought:
        limits, halt = self._limits, self._halt
        with limits.room.of(self._files, halt, check=self._check_room) as again:
            for file in self._files:
                with limits.turns.of(file.sha256, halt):
                    while not self._tree.blob(file.sha256).exists():
                        if not self._by(self._ways.of(file)[0]):
                            again()
                            self._check_bytes()
        return self._brought

    def _by(self, way: Way) -> bool:
        """Bring a file by ``way``; return False if another way is to be taken."""
        if way.encoding is None:
            self._download(way, Part.keep)
            self._brought.whole("plain")
            return True
        # Whoever brings a file by that name now would write into the same part.
        with self._limits.turns.at_once(way.encoding.sha256, self._halt) as mine:
            if mine and self._encoded(way, way.encoding):
                self._brought.whole(way.encoding.kind)
                return True
        self._absent.add(way.encoding.sha256)
        return False

    def _encoded(self, way: Way, encoding: Encoding) -> bool:
        """Bring a file by its encoding; return whether that went well."""
        from littoral_agent import decoding  # what most files never need

        try:
            self._download(way, lambda _: None)
        except ForgottenError:
            return False  # a source need not have every encoding
        except (HashError, EndlessError) as e:
            self._strike(way, encoding, e, source=self._brought.source)
            return False
        try:
            decoding.decoded(way.file, encoding, self._tree, halt=self._halt)
        except EncodingError as e:
            self._strike(way, encoding, e)
            return False
        except decoding.StarvedError as e:
            if not self._limits.struck.starved(encoding.sha256):
                raise
            self._strike(way, encoding, e)
            return False
        return True

    def _download(self, way: Way, whole: Callable[[Part], object]) -> None:
        download(
            way.travels,
            self._source,
            self._tree,
            limits=self._limits,
            halt=self._halt,
            came=self._came,
            whole=whole,
        )

    def _came(self, count: int) -> None:
        self._brought.came(count)
        self._limits.errand.came(count)

    def _strike(
        self, way: Way, encoding: Encoding, error: LittoralError, *, source: str | None = None
    ) -> None:
        """Give up an encoding, and what has come of it; of ``source`` alone, if it spoils it."""
        code, why = error.code, str(error)
        if source is not None:
            why = f"{source} sends other bytes: {why}"
        elif encoding.base and _digest(self._tree.blob(encoding.base)) != encoding.base:
            code, why = HashError.code, "the file that it starts from is damaged on this disk"
        with self._halt.going():
            durable.remove(self._tree.part(encoding.sha256))
        self._brought.struck += 1
        self._limits.struck.strike(
            encoding.sha256,
            f"{self._limits.about}: {encoding.kind} {encoding.sha256[:12]}… of "
            f"{way.file.sha256[:12]}…, {size(encoding.size)}: {why}; it comes in another way",
            code=code,
            source=source,
        )

    def _given_up(self, sha256: str) -> bool:
        struck = self._limits.struck
        return sha256 in self._absent or struck.bars(sha256, source=self._brought.source)

    def _check_room(self, others: Sequence[File]) -> None:
        reserve_bytes = self._limits.reserve_bytes
        self._ways = _fitting(self._files, self._ways, reserve_bytes=reserve_bytes, others=others)
        self._expect()

    def _check_bytes(self) -> None:
        """See that what comes in another way may come. Raises SpentError, OverAllowanceError."""
        self._expect()
        if self._limits.usage is not None:
            self._limits.usage.check(self._ways.wire(self._files))

    def _expect(self) -> None:
        left, whole = self._ways.wire(self._files), self._ways.whole(self._files)
        self._limits.errand.expect(left, held=whole - left)


def _fitting(
    files: Sequence[File], ways: Ways, *, reserve_bytes: int, others: Sequence[File] = ()
) -> Ways:
    """Return the ways for which there is room, beside ``others``: an encoding takes more of it.

    Raises DiskFullError.
    """
    tree = ways.tree
    with durable.storage_errors(tree.blobs):
        disk = os.statvfs(tree.blobs)
    free, filled = disk.f_bavail * disk.f_frsize, 0
    for some in (ways, replace(ways, encoded=False)):
        filled = some.disk(each_once([*files, *others]))
        if free - filled >= reserve_bytes or not some.disk(files):
            return some
    raise DiskFullError(
        f"{tree.root}: expected {filled} bytes and a reserve of {reserve_bytes} to be free, "
        f"found {free}; free some space, or lower disk_reserve_bytes"
    )


def drop_damaged(files: Iterable[File], tree: Tree) -> list[str]:
    """Delete those of ``files`` whose bytes on the disk are no longer theirs; return which."""
    damaged = []
    for file in each_once(files):
        path = tree.blob(file.sha256)
        if path.exists() and _digest(path) != file.sha256:
            durable.remove(path)
            damaged.append(file.sha256)
    return damaged


def _digest(path: Path) -> str:
    with durable.storage_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
