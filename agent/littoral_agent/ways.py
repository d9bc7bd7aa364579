"""In which ways a file can come to this device: in an encoding, or as it is. Nothing comes here.

A way costs the bytes that are still to come of it, so that what has arrived of one is gone on
with where that is cheapest. An encoding that is dearer than the file itself is no way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from littoral.bundle.manifest import Blob, Encoding, File
from littoral.tree import Tree


@dataclass(frozen=True, slots=True)
class Way:
    """A file, and the encoding in which it comes; None: as it is."""

    file: File
    encoding: Encoding | None = None

    @property
    def travels(self) -> Blob:
        return self.encoding or self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways there are now, by what is in ``tree``."""

    tree: Tree
    encoded: bool = True  # whether any encoding is a way: who pays nothing for bytes asks for none
    given_up: Callable[[str], bool] = lambda _: False  # by the encoding's sha256

    def of(self, file: File) -> list[Way]:
        """Return them, that with the fewest bytes to come first; the last one is as it is."""
        ways = [Way(file, one) for one in file.encodings if self._may(one, file)]
        ways = sorted([*ways, Way(file)], key=lambda way: self._left(way.travels))
        return ways[: ways.index(Way(file)) + 1]

    def wire(self, files: Iterable[File]) -> int:
        """Return how many bytes are still to come."""
        return sum(self._left(self.of(file)[0].travels) for file in self._missing(files))

    def whole(self, files: Iterable[File]) -> int:
        """Return how many bytes they are, with what has arrived of those that are not here."""
        return sum(self.of(file)[0].travels.size for file in self._missing(files))

    def disk(self, files: Iterable[File]) -> int:
        """Return how many bytes the disk has still to take: an encoding lies beside its file."""
        count = 0
        for file in self._missing(files):
            way = self.of(file)[0]
            count += self._left(file)
            count += self._left(way.travels) if way.encoding else 0
        return count

    def _missing(self, files: Iterable[File]) -> list[File]:
        return [file for file in files if not self.tree.blob(file.sha256).exists()]

    def _may(self, one: Encoding, file: File) -> bool:
        if not self.encoded or self.given_up(one.sha256) or one.size >= file.size:
            return False
        return one.base is None or self.tree.blob(one.base).exists()

    def _left(self, blob: Blob) -> int:
        return max(0, blob.size - held(self.tree.part(blob.sha256)))


def arrived(files: Iterable[File], tree: Tree) -> int:
    """Return how many bytes of ``files`` are here: what grows as long as there is progress."""
    return sum(_arrived(file, tree) for file in each_once(files))


def _arrived(file: File, tree: Tree) -> int:
    if tree.blob(file.sha256).exists():
        return file.size
    return sum(held(tree.part(one.sha256)) for one in file.blobs)


def each_once(files: Iterable[File]) -> list[File]:
    return list({file.sha256: file for file in files}.values())


def held(part: Path) -> int:
    """Return how much has arrived of a part."""
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0
