import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from littoral_converter import cache
from littoral_converter.cache import Cache
from littoral_converter.worker import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    layers: int
    names: tuple[str, ...] = ()


COST = Cost(seconds=1.5, peak_bytes=7)
RESULT = Result(layers=3, names=("a", "b"))


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    (tmp_path / "cache").mkdir()
    return Cache(folder=tmp_path / "cache")


def worked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def kept(store: Cache, tmp_path: Path, key: str = "key", data: bytes = b"weights") -> None:
    folder = worked(tmp_path / f"shop-{key}", {"in.npy": b"in", "step.log": b"noise"})
    before = cache.look(folder)
    worked(folder, {"float.tflite": data, "saved-model/variables/v.bin": b"v", "s.job.json": b""})
    store.put(key, RESULT, COST, folder=folder, before=before)


def taken(store: Cache, tmp_path: Path, key: str = "key") -> Any:
    into = tmp_path / "other"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    found = store.take(key, Result, into)
    files = {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}
    return found, files


def test_what_a_step_left_and_answered_is_there_again(store: Cache, tmp_path: Path) -> None:
    kept(store, tmp_path)
    found, files = taken(store, tmp_path)
    assert found == (RESULT, COST)
    assert files == {"float.tflite": b"weights", "saved-model/variables/v.bin": b"v"}
    assert taken(store, tmp_path, "another") == (None, {})


def test_the_entry_of_another_step_is_not_taken_for_this_ones(store: Cache, tmp_path: Path) -> None:
    kept(store, tmp_path)
    (store.folder / "key").rename(store.folder / "another")
    assert taken(store, tmp_path, "another") == (None, {})
    assert not (store.folder / "another").exists()


def test_a_bit_that_turned_anywhere_is_noticed_and_the_entry_is_gone(
    store: Cache, tmp_path: Path
) -> None:
    kept(store, tmp_path)
    names = sorted(path.name for path in (store.folder / "key").iterdir())
    for name in names:
        kept(store, tmp_path)
        path = store.folder / "key" / name
        for at in range(0, path.stat().st_size, 5):
            kept(store, tmp_path)
            data = bytearray(path.read_bytes())
            data[at] ^= 0x10
            path.write_bytes(data)
            assert taken(store, tmp_path) == (None, {}), (name, at)
            assert not (store.folder / "key").exists()


def test_an_entry_of_which_a_part_is_missing_is_none(store: Cache, tmp_path: Path) -> None:
    kept(store, tmp_path)
    for path in sorted((store.folder / "key").iterdir()):
        path.unlink()
        assert taken(store, tmp_path) == (None, {})
        shutil.rmtree(store.folder / "key", ignore_errors=True)
        kept(store, tmp_path)


def test_a_file_outside_the_workshop_is_never_written(store: Cache, tmp_path: Path) -> None:
    """Somebody who can write an entry can also write its digests."""
    kept(store, tmp_path)
    about = next((store.folder / "key").glob("*.json"))
    text = about.read_bytes().replace(b'"float.tflite"', b'"../gone.tflite"')
    assert text != about.read_bytes()
    about.unlink()
    (store.folder / "key" / f"{hashlib.sha256(text).hexdigest()}.json").write_bytes(text)
    assert taken(store, tmp_path) == (None, {})
    assert not (tmp_path / "gone.tflite").exists()


def test_a_result_of_another_version_is_no_result(store: Cache, tmp_path: Path) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Newer:
        layers: int
        way: str

    kept(store, tmp_path)
    assert store.take("key", Newer, tmp_path) is None


def test_two_conversions_at_once_leave_one_entry(store: Cache, tmp_path: Path) -> None:
    kept(store, tmp_path, data=b"first")
    kept(store, tmp_path, data=b"second")
    _, files = taken(store, tmp_path)
    assert files["float.tflite"] == b"first"
    assert [path.name for path in store.folder.iterdir()] == ["key"]


def test_what_was_used_least_lately_goes_first(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    store = Cache(folder=tmp_path / "cache", most_bytes=3000)
    for n, key in enumerate("abc"):
        kept(store, tmp_path, key, bytes(1000 + n))
        os.utime(store.folder / key, (n, n))
        if key == "b":
            assert taken(store, tmp_path, "a")[0] is not None
    assert sorted(path.name for path in store.folder.iterdir()) == ["a", "c"]


def test_what_is_left_of_a_kill_goes_when_it_is_old(store: Cache, tmp_path: Path) -> None:
    for name, age in ((".new-old", 7200), (".gone-old", 7200), (".new-now", 0)):
        worked(store.folder, {f"{name}/0": b"x"})
        os.utime(store.folder / name, (time.time() - age, time.time() - age))
    kept(store, tmp_path)
    assert sorted(path.name for path in store.folder.iterdir()) == [".new-now", "key"]


def test_a_disk_that_keeps_nothing_harms_nobody(
    tmp_path: Path, store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    kept(store, tmp_path, "old")
    monkeypatch.setattr(cache, "_copy", full)
    kept(store, tmp_path)
    assert taken(store, tmp_path, "key") == (None, {})
    assert [path.name for path in store.folder.iterdir()] == ["old"]
    kept(Cache(folder=tmp_path / "nowhere"), tmp_path)


def test_what_is_too_large_is_not_kept(
    tmp_path: Path, store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MOST_ENTRY", 7)
    kept(store, tmp_path)
    assert list(store.folder.iterdir()) == []


def test_it_is_the_users_own_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = cache.opened()
    assert found is not None
    assert found.folder == tmp_path / "littoral/conversions"
    assert found.folder.stat().st_mode & 0o777 == 0o700
    found.folder.chmod(0o777)
    assert cache.opened() is None
    found.folder.rmdir()
    found.folder.symlink_to(tmp_path)
    assert cache.opened() is None


def test_without_a_home_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert cache.opened() is None
