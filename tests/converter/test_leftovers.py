import subprocess
import sys
from pathlib import Path

import pytest

from littoral_converter import bundle, leftovers, workshop


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every folder be older than the moment between its making and its lock."""
    monkeypatch.setattr(leftovers, "_MAKING_S", -1.0)


@pytest.mark.usefixtures("old")
def test_what_nobody_holds_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "a-1").mkdir()
    (tmp_path / "a-1" / "left.npy").write_bytes(b"abc")
    (tmp_path / "a-2").mkdir()
    (tmp_path / "b-1").mkdir()
    (tmp_path / "a-3").symlink_to(tmp_path / "b-1")
    with leftovers.held(tmp_path / "a-2"):
        leftovers.clear(tmp_path, "a-*")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2", "a-3", "b-1"]


def test_what_was_just_made_may_not_be_locked_yet(tmp_path: Path) -> None:
    (tmp_path / "a-1").mkdir()
    leftovers.clear(tmp_path, "a-*")
    assert (tmp_path / "a-1").exists()


@pytest.mark.usefixtures("old")
def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    folder = tmp_path / "a-1"
    folder.mkdir()
    holds = (
        "import sys, pathlib\n"
        "from littoral_converter import leftovers\n"
        "with leftovers.held(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not leftovers.abandoned(folder)
        process.kill()
        process.wait()
    assert leftovers.abandoned(folder)


@pytest.mark.usefixtures("old")
def test_a_conversion_clears_away_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "littoral-convert-a_killed").mkdir()
    with workshop.place() as first, workshop.place() as second:
        assert {p.name for p in tmp_path.iterdir()} == {first.name, second.name}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("old")
def test_a_bundle_that_a_killed_process_had_moved_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".out.0123abcd.new").mkdir()
    moved = tmp_path / ".out.0123abcd.old"
    moved.mkdir()
    (moved / "manifest.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt), bundle.building(tmp_path / "out"):
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "manifest.json").exists()
