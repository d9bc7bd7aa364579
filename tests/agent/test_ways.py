"""In which ways a file can come: the one first that costs the fewest bytes from here."""

from pathlib import Path

import pytest

from littoral.bundle.manifest import Encoding, File
from littoral.tree import Tree
from littoral_agent.ways import Way, Ways, arrived

OLD = "0" * 64
FILE = File(
    sha256="f" * 64,
    size=1000,
    encodings=(
        Encoding(kind="zstd", sha256="a" * 64, size=800),
        Encoding(kind="patch", sha256="b" * 64, size=100, base=OLD),
        Encoding(kind="patch", sha256="c" * 64, size=50, base="9" * 64),
        Encoding(kind="zstd", sha256="d" * 64, size=1000),
    ),
)
ZSTD, PATCH, *_ = FILE.encodings


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.make()
    tree.blob(OLD).write_bytes(b"old")
    return tree


def put(tree: Tree, sha256: str, size: int) -> None:
    tree.part(sha256).write_bytes(bytes(size))


def test_the_cheapest_is_first_and_only_what_is_cheaper_than_the_file(tree: Tree) -> None:
    assert Ways(tree=tree).of(FILE) == [Way(FILE, PATCH), Way(FILE, ZSTD), Way(FILE)]


def test_a_patch_is_no_way_without_its_base(tree: Tree) -> None:
    tree.blob(OLD).unlink()
    assert Ways(tree=tree).of(FILE) == [Way(FILE, ZSTD), Way(FILE)]


def test_what_was_given_up_is_none(tree: Tree) -> None:
    ways = Ways(tree=tree, given_up={PATCH.sha256}.__contains__)
    assert ways.of(FILE) == [Way(FILE, ZSTD), Way(FILE)]


def test_who_pays_nothing_for_bytes_takes_files_as_they_are(tree: Tree) -> None:
    ways = Ways(tree=tree, encoded=False)
    assert ways.of(FILE) == [Way(FILE)]
    assert (ways.wire([FILE]), ways.disk([FILE])) == (1000, 1000)


@pytest.mark.parametrize(
    ("here", "first"),
    [
        ({FILE.sha256: 950}, Way(FILE)),  # fewer bytes than the whole patch
        ({FILE.sha256: 850}, Way(FILE, PATCH)),
        ({ZSTD.sha256: 750}, Way(FILE, ZSTD)),
        ({ZSTD.sha256: 750, PATCH.sha256: 99}, Way(FILE, PATCH)),
        # A decoder that was cut short may have left all of a file that is not the file.
        ({PATCH.sha256: 100, FILE.sha256: 1000}, Way(FILE, PATCH)),
    ],
)
def test_what_has_arrived_of_a_way_makes_it_cheaper(
    tree: Tree, here: dict[str, int], first: Way
) -> None:
    for sha256, size in here.items():
        put(tree, sha256, size)
    assert Ways(tree=tree).of(FILE)[0] == first


def test_what_comes_and_what_the_disk_takes(tree: Tree) -> None:
    """An encoding and its file lie side by side for a while."""
    ways = Ways(tree=tree)
    other = File(sha256="e" * 64, size=7)
    assert (ways.wire([FILE, other]), ways.disk([FILE, other])) == (107, 1107)
    put(tree, PATCH.sha256, 60)
    put(tree, FILE.sha256, 300)
    assert (ways.wire([FILE]), ways.disk([FILE])) == (40, 740)
    tree.blob(FILE.sha256).write_bytes(b"whole")
    assert (ways.wire([FILE]), ways.disk([FILE])) == (0, 0)


def test_what_has_arrived_counts_in_whatever_encoding(tree: Tree) -> None:
    put(tree, PATCH.sha256, 60)
    put(tree, ZSTD.sha256, 5)
    assert arrived([FILE, FILE], tree) == 65
    tree.blob(FILE.sha256).write_bytes(b"whole")
    assert arrived([FILE], tree) == FILE.size
