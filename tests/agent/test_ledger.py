"""What an agent remembers of all models when it starts."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.errors import StorageError
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.journal import Journal
from littoral_agent import ledger
from littoral_agent.ledger import Ledger


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.make()
    journal.write(made.journal("digits"), Journal(model="digits"))
    return made


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PATIENCE_S", (0.001, 0.001))


def test_a_folder_that_the_disk_does_not_give_at_once_is_looked_at_again(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails, iterdir = [OSError(errno.EMFILE, "Too many open files")], Path.iterdir

    def listed(path: Path) -> Iterator[Path]:
        if path == tree.journals and fails:
            raise fails.pop()
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", listed)
    held = Ledger(tree)
    assert held.read() == {}
    assert list(held.journals) == ["digits"]


def test_a_folder_that_is_none_is_no_device_without_models(tree: Tree) -> None:
    """An agent that took it for one would forget what is proven, and collect its files."""
    tree.journal("digits").unlink()
    for beside in tree.journals.iterdir():
        beside.unlink()
    tree.journals.rmdir()
    tree.journals.write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        Ledger(tree).read()
