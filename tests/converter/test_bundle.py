import errno
import os
from pathlib import Path
from shutil import copytree

import pytest

from converter.conftest import Converted
from littoral.bundle.manifest import Manifest
from littoral.errors import DiskFullError, MisuseError, StorageError
from littoral_converter import bundle


def test_a_new_place_and_an_empty_folder_are_free(tmp_path: Path) -> None:
    bundle.check_place(tmp_path / "new", force=False)
    bundle.check_place(tmp_path, force=False)


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "manifest.json").write_text("{}")
    for force in (False, True):
        with pytest.raises(MisuseError, match="is no bundle"):
            bundle.check_place(tmp_path, force=force)


def test_a_place_where_nothing_can_be_made_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        bundle.check_place(tmp_path / "file" / "deep" / "out", force=False)
    with pytest.raises(StorageError, match=r"^/proc/out: "):
        bundle.check_place(Path("/proc/out"), force=False)


def test_a_bundle_is_replaced_only_by_force(digits: Converted) -> None:
    with pytest.raises(MisuseError, match="give --force"):
        bundle.check_place(digits.bundle, force=False)
    bundle.check_place(digits.bundle, force=True)


def test_what_is_not_of_the_bundle_is_not_replaced_with_it(
    digits: Converted, tmp_path: Path
) -> None:
    place = tmp_path / "mine"
    copytree(digits.bundle, place)
    (place / "serving").mkdir()
    bundle.check_place(place, force=True)
    (place / "notes.txt").write_text("mine\n")
    with pytest.raises(MisuseError, match=r"holds 'notes\.txt', which is not of the bundle"):
        bundle.check_place(place, force=True)


def test_a_bundle_appears_whole_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with bundle.building(out) as folder:
        found = bundle.add(folder, {"a.bin": b"abc"})
        assert not out.exists()
    assert (out / "a.bin").read_bytes() == b"abc"
    assert found["a.bin"].size == 3
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_what_is_published_is_readable_whatever_its_makers_mask(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        with bundle.building(tmp_path / "out") as folder:
            bundle.add(folder, {"a.bin": b"abc"})
            (folder / "serving").mkdir()
            (folder / "serving/model.pb").write_bytes(b"pb")
    finally:
        os.umask(mask)
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "out").rglob("*")}
    assert modes == {"a.bin": 0o644, "serving": 0o755, "model.pb": 0o644}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700, "that is its owner's"


def test_a_failure_leaves_nothing_of_the_new_and_all_of_the_old(
    digits: Converted, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    copytree(digits.bundle, out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    def fail() -> None:
        with bundle.building(out) as folder:
            bundle.add(folder, {"a.bin": b"abc"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failure_between_the_two_renames_brings_the_old_back(
    digits: Converted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    copytree(digits.bundle, out)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise OSError(errno.EIO, "the disk is dying")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StorageError, match="the disk is dying"), bundle.building(out):
        pass
    assert (out / "manifest.json").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_old_bundle_is_replaced_as_a_whole(digits: Converted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copytree(digits.bundle, out)
    with bundle.building(out) as folder:
        bundle.add(folder, {"a.bin": b"abc"})
    assert [p.name for p in out.iterdir()] == ["a.bin"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    def fill() -> None:
        with bundle.building(small_disk / "out") as folder:
            bundle.add(folder, {"a.bin": bytes(600_000)})

    with pytest.raises(DiskFullError, match="no space left"):
        fill()
    assert list(small_disk.iterdir()) == []


def test_the_manifest_describes_the_files(digits: Converted) -> None:
    found = Manifest.from_json((digits.bundle / "manifest.json").read_bytes())
    on_disk = {p.name for p in digits.bundle.iterdir()} - {"manifest.json"}
    assert set(found.files) == on_disk
