"""What is left on a medium: one whole file beneath it, whatever somebody laid there before."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.errors import MalformedError, StorageError
from littoral_agent.leaving import leave


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


@pytest.fixture
def fd(medium: Path) -> Iterator[int]:
    found = os.open(medium, os.O_PATH | os.O_DIRECTORY)
    yield found
    os.close(found)


def test_it_is_there_whole_and_in_place_of_the_earlier(medium: Path, fd: int) -> None:
    for data in (b"one", b"another"):
        assert leave(fd, "pi-7", data, called=medium) == "receipts/pi-7.json"
        assert (medium / "receipts/pi-7.json").read_bytes() == data
        assert [path.name for path in (medium / "receipts").iterdir()] == ["pi-7.json"]


def test_what_was_cut_short_is_swept(medium: Path, fd: int) -> None:
    (medium / "receipts").mkdir()
    (medium / "receipts/.pi-7.json.new").write_bytes(b"hal")
    leave(fd, "pi-7", b"whole", called=medium)
    assert [path.name for path in (medium / "receipts").iterdir()] == ["pi-7.json"]


@pytest.mark.parametrize("name", ["pi-7.json", ".pi-7.json.new"])
def test_a_link_is_replaced_and_not_followed(medium: Path, fd: int, name: str) -> None:
    precious = medium.parent / "precious"
    precious.write_bytes(b"precious")
    (medium / "receipts").mkdir()
    (medium / "receipts" / name).symlink_to(precious)
    leave(fd, "pi-7", b"receipt", called=medium)
    assert precious.read_bytes() == b"precious"
    assert not (medium / "receipts/pi-7.json").is_symlink()
    assert (medium / "receipts/pi-7.json").read_bytes() == b"receipt"


def test_a_folder_that_is_a_link_leads_nowhere(medium: Path, fd: int) -> None:
    outside = medium.parent / "outside"
    outside.mkdir()
    (medium / "receipts").symlink_to(outside)
    with pytest.raises(StorageError):
        leave(fd, "pi-7", b"receipt", called=medium)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["../pi-7", "", "a/b", ".."])
def test_no_name_leads_out(medium: Path, fd: int, name: str) -> None:
    with pytest.raises(MalformedError):
        leave(fd, name, b"receipt", called=medium)
    assert list(medium.iterdir()) == []


def test_what_cannot_be_replaced_stays_and_nothing_is_left_over(medium: Path, fd: int) -> None:
    (medium / "receipts/pi-7.json").mkdir(parents=True)
    with pytest.raises(StorageError):
        leave(fd, "pi-7", b"receipt", called=medium)
    assert [path.name for path in (medium / "receipts").iterdir()] == ["pi-7.json"]
