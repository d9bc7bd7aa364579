"""Two downloads at once leave as much of the disk alone as one does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from littoral.bundle.manifest import File
from littoral.errors import DiskFullError
from littoral.tree import Tree
from littoral_agent.download import Limits
from littoral_agent.fetch import bring
from littoral_agent.halting import Halt, HaltedError
from littoral_agent.streams import Stream

MB = 1_000_000
RESERVE = 10 * MB


class Meanwhile:
    """A source that does something else after its first byte."""

    def __init__(self, size: int, meanwhile: object) -> None:
        self._size, self._meanwhile = size, meanwhile

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        assert name.startswith("blobs/")
        yield Stream(start, self._size, self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        yield bytes(MB)
        assert callable(self._meanwhile)
        self._meanwhile()
        raise HaltedError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Return a folder on a disk on which 8 MB may still be used."""
    tree = Tree(tmp_path / "device")
    tree.make()

    def disk(_: object) -> SimpleNamespace:
        held = sum(path.stat().st_size for path in tree.parts.iterdir())
        return SimpleNamespace(f_bavail=RESERVE + 8 * MB - held, f_frsize=1)

    monkeypatch.setattr(os, "statvfs", disk)
    return tree


def file(digit: str, size: int) -> File:
    return File(sha256=digit * 64, size=size)


def met(tree: Tree, second: File, *, superseded: bool = False) -> list[str]:
    """Begin to bring 5 MB, and meanwhile ``second``; return what came of that."""
    limits, first, met = Limits(reserve_bytes=RESERVE), Halt(), []

    def other() -> None:
        if superseded:
            first.say()
        try:
            bring([second], Meanwhile(second.size, lambda: None), tree, limits=limits, halt=Halt())
        except (DiskFullError, HaltedError) as e:
            met.append(type(e).__name__)

    with pytest.raises(HaltedError):
        bring([file("a", 5 * MB)], Meanwhile(5 * MB, other), tree, limits=limits, halt=first)
    return met


def test_what_another_is_still_bringing_is_no_room(tree: Tree) -> None:
    assert met(tree, file("b", 4 * MB)) == ["DiskFullError"]
    assert not tree.part("b" * 64).exists(), "before its first byte"


def test_there_is_room_for_both_or_for_what_both_need(tree: Tree) -> None:
    assert met(tree, file("b", 3 * MB)) == ["HaltedError"]


def test_who_was_halted_brings_no_more_and_gives_its_room_back(tree: Tree) -> None:
    assert met(tree, file("b", 4 * MB), superseded=True) == ["HaltedError"]
    assert met(tree, file("c", 4 * MB)) == ["DiskFullError"], "what has come of it is there"
