"""Where things lie on a device."""

from pathlib import Path

import pytest

from littoral import durable
from littoral.tree import Tree


def test_folders_of_keys_are_the_owners_alone(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "data")
    tree.make()
    tree.make()
    for folder in (tree.identity, tree.trust):
        assert folder.stat().st_mode & 0o777 == 0o700
    for folder in (tree.blobs, tree.parts, tree.manifests, tree.journals, tree.sockets):
        assert folder.stat().st_mode & 0o777 & ~0o750 == 0


def test_new_folders_survive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that is fsynced in a folder that is not is gone with it."""
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    tree = Tree(tmp_path / "data")
    tree.make()
    assert synced[0] == tmp_path, "its own name, too"
    assert {tree.root, tree.blobs, tree.trust} == set(synced[1:])
    synced.clear()
    tree.make()
    assert synced == []


def test_a_file_that_still_arrives_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert tree.part("ab") != tree.blob("ab")
    assert tree.part("ab").parent != tree.blobs


def test_everything_lies_below_the_one_folder(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    paths = [tree.settings, tree.spool, tree.desired, tree.control, tree.serve]
    paths += [tree.blob("ab"), tree.manifest("ab"), tree.journal("digits")]
    assert all(path.is_relative_to(tmp_path) for path in paths)
    assert len(set(paths)) == len(paths)
