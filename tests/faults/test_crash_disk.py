"""What a file system may hold after power was lost: small cases that people can count."""

import pytest

from faults.crash_disk import Disk, TooManyError
from faults.crash_file import STALE, Write

ROOT = 0


def found(disk: Disk, *, newest: bool = False) -> list[dict[str, bytes | None]]:
    """Return the states, each once, as people read them."""
    states = [
        {path: held.data if held else None for path, held in state.items()}
        for state in disk.states(newest=newest)
    ]
    return [one for n, one in enumerate(states) if one not in states[:n]]


def written(disk: Disk, name: str, data: bytes, *, synced: bool) -> int:
    node = disk.make_file((ROOT, name), 0o600)
    disk.write(node, Write(0, data))
    if synced:
        disk.sync(node)
    return node


def test_a_file_without_an_fsync_has_its_name_its_bytes_both_or_neither() -> None:
    disk = Disk()
    written(disk, "a", b"ab", synced=False)
    states = found(disk)
    assert {} in states
    for data in (b"", b"ab", b"\0\0", STALE * 2):
        assert {"a": data} in states
    assert len(states) == 5


def test_an_fsync_of_the_file_keeps_its_bytes_and_not_its_name() -> None:
    disk = Disk()
    written(disk, "a", b"ab", synced=True)
    assert found(disk) == [{"a": b"ab"}, {}]
    disk.sync(ROOT)
    assert found(disk) == [{"a": b"ab"}]


def test_a_rename_may_be_there_before_the_bytes() -> None:
    disk = Disk()
    written(disk, "a", b"old", synced=True)
    disk.sync(ROOT)
    written(disk, ".a.new", b"new", synced=False)
    disk.rename((ROOT, ".a.new"), (ROOT, "a"))
    states = found(disk)
    assert {"a": b"old"} in states
    assert {"a": b"new"} in states
    assert {"a": b""} in states, "the name without the bytes"
    assert all("a" in one for one in states), "one or the other is always there"


def test_changes_of_one_name_keep_their_order_and_others_have_none() -> None:
    disk = Disk()
    for name in ("a", "b"):
        written(disk, name, b"", synced=True)
    disk.sync(ROOT)
    disk.remove((ROOT, "a"))
    written(disk, "a", b"", synced=True)
    disk.remove((ROOT, "b"))
    names = sorted(sorted(one) for one in found(disk))
    assert names == [[], ["a"], ["a", "b"], ["b"]]
    disk.sync(ROOT)
    assert found(disk) == [{"a": b""}]


def test_a_rename_into_another_folder_is_two_changes() -> None:
    disk = Disk()
    part = disk.make_folder((ROOT, "part"))
    node = disk.make_file((part, "a"), 0o600)
    disk.write(node, Write(0, b"x"))
    disk.sync_all()
    disk.rename((part, "a"), (ROOT, "a"))
    assert len(found(disk)) == 4, "both names, either, none"
    disk.sync(ROOT)
    assert found(disk) == [
        {"a": b"x", "part": None},
        {"a": b"x", "part": None, "part/a": b"x"},
    ]


def test_a_folder_takes_all_that_is_in_it_with_it() -> None:
    disk = Disk()
    folder = disk.make_folder((ROOT, "journals"))
    node = disk.make_file((folder, "a"), 0o600)
    disk.sync(node)
    disk.sync(folder)
    assert found(disk) == [{"journals": None, "journals/a": b""}, {}]
    disk.sync(ROOT)
    assert len(found(disk)) == 1


def test_writes_are_there_one_without_the_other_and_torn() -> None:
    disk = Disk()
    node = written(disk, "a", bytes(9000), synced=True)
    disk.sync(ROOT)
    disk.write(node, Write(0, b"1" * 600))
    disk.write(node, Write(8999, b"2"))
    datas = [one["a"] for one in found(disk)]
    first, second = b"1" * 600 + bytes(8400), bytes(8999) + b"2"
    assert bytes(9000) in datas
    assert first in datas
    assert second in datas
    assert b"1" * 512 + bytes(9000 - 512) in datas, "torn at a sector"
    assert all(one is not None and len(one) == 9000 for one in datas)


def test_what_is_new_is_all_that_the_last_change_made_possible() -> None:
    disk = Disk()
    seen: list[dict[str, bytes | None]] = [{}]
    for n in range(3):
        node = disk.make_file((ROOT, f"{n}"), 0o600)
        seen += found(disk, newest=True)
        disk.write(node, Write(0, b"x"))
        seen += found(disk, newest=True)
    disk.remove((ROOT, "2"))
    seen += found(disk, newest=True)
    assert all(one in seen for one in found(disk))


def test_a_mode_is_kept_by_fsync_and_not_by_fdatasync() -> None:
    disk = Disk()
    node = written(disk, "a", b"x", synced=True)
    disk.sync(ROOT)
    disk.chmod(node, 0o440)
    disk.sync(node, mode=False)
    assert {one["a"].mode for one in disk.states(newest=False) if one["a"]} == {0o440, 0o600}
    disk.sync(node)
    assert {one["a"].mode for one in disk.states(newest=False) if one["a"]} == {0o440}


def test_more_than_anybody_tries_is_an_error() -> None:
    disk = Disk()
    for n in range(13):
        written(disk, f"{n}", b"", synced=True)
    with pytest.raises(TooManyError):
        found(disk)
