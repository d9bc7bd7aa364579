"""The director's word on a medium: heard once, and again when it changed."""

import threading
from pathlib import Path

import pytest

from littoral.errors import LittoralError
from littoral_agent.folder import Folder
from littoral_agent.media import Media


class Ears:
    def __init__(self, *folders: Path, every_s: float = 0.01) -> None:
        self.heard: list[bytes] = []
        self.unheard: list[str] = []
        self.came = threading.Event()
        self.media = Media(
            tuple(Folder(one) for one in folders),
            "pi-7",
            heard=self._hear,
            unheard=self._refuse,
            every_s=every_s,
        )

    def _hear(self, data: bytes) -> None:
        self.heard.append(data)
        self.came.set()

    def _refuse(self, error: LittoralError) -> None:
        self.unheard.append(error.code)


@pytest.fixture
def word(tmp_path: Path) -> Path:
    path = tmp_path / "stick" / "director" / "pi-7.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one")
    return path


def test_a_word_is_heard_once_and_again_when_it_changed(word: Path) -> None:
    ears = Ears(word.parents[1])
    for data in (b"one", b"one", b"two", b"one"):
        word.write_bytes(data)
        ears.media.look()
    assert ears.heard == [b"one", b"two", b"one"]


def test_two_media_do_not_take_turns(word: Path, tmp_path: Path) -> None:
    (tmp_path / "share/director").mkdir(parents=True)
    (tmp_path / "share/director/pi-7.json").write_bytes(b"other")
    ears = Ears(word.parents[1], tmp_path / "share")
    for _ in range(3):
        ears.media.look()
    assert ears.heard == [b"one", b"other"]


def test_no_stick_and_no_word_for_this_device_is_nothing_to_tell(word: Path) -> None:
    word.rename(word.with_name("pi-8.json"))
    ears = Ears(word.parents[1], word.parents[2] / "unplugged")
    ears.media.look()
    assert (ears.heard, ears.unheard) == ([], [])


def test_what_is_no_file_or_too_long_is_told(word: Path) -> None:
    ears = Ears(word.parents[1])
    word.write_bytes(bytes(64 * 1024 + 1))
    ears.media.look()
    word.unlink()
    word.symlink_to("/etc/passwd")
    ears.media.look()
    assert (ears.heard, ears.unheard) == ([], ["endless", "malformed"])


def test_a_stick_that_comes_later_is_found(word: Path) -> None:
    away = word.parents[1].rename(word.parents[2] / "away")
    ears = Ears(word.parents[1])
    ears.media.start()
    assert not ears.came.wait(0.05)
    away.rename(word.parents[1])
    assert ears.came.wait(10)
    ears.media.stop()


def test_there_is_no_thread_where_there_is_no_folder() -> None:
    before = threading.active_count()
    ears = Ears()
    ears.media.start()
    assert threading.active_count() == before
    ears.media.stop()
