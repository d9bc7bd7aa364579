"""Where blobs are kept: in a folder, and which words name one."""

import hashlib
import tempfile
from pathlib import Path

import pytest

from littoral.errors import HashError, SettingsError
from littoral_console import blobs
from littoral_console.blobs import Folder

DATA = b"a model " * 1000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    path = tmp_path / "sent"
    path.write_bytes(DATA)
    path.chmod(0o600)
    return path


def test_a_folder_takes_over_what_was_sent(tmp_path: Path, sent: Path) -> None:
    folder = Folder(tmp_path / "blobs")
    assert (folder.size(SHA), folder.file(SHA), folder.url(SHA)) == (None, None, None)
    folder.keep(sent, SHA)
    assert not sent.exists()
    assert folder.size(SHA) == len(DATA)
    assert folder.read(SHA, start=8, length=16) == DATA[8:24]
    assert folder.read(SHA, start=len(DATA) - 1, length=16) == DATA[-1:]
    assert (tmp_path / "blobs" / SHA).stat().st_mode & 0o777 == 0o644


def test_a_folder_on_another_disk_takes_a_copy(tmp_path: Path, sent: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk")
    with tempfile.TemporaryDirectory(dir=shm) as other:
        folder = Folder(Path(other) / "blobs")
        folder.keep(sent, SHA)
        assert (sent.exists(), folder.size(SHA)) == (False, len(DATA))
        (kept,) = folder.path.iterdir()
        assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (DATA, 0o644)


def test_a_link_is_no_blob(tmp_path: Path, sent: Path) -> None:
    folder = Folder(tmp_path / "blobs")
    folder.path.mkdir()
    (folder.path / SHA).symlink_to(sent)
    assert (folder.file(SHA), folder.size(SHA)) == (None, None)


def test_what_comes_from_elsewhere_is_what_it_is_called(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "blobs")
    with pytest.raises(HashError):
        blobs.adopt(folder, SHA, iter([DATA, b"!"]))
    assert list(folder.path.iterdir()) == []
    assert blobs.adopt(folder, SHA, iter([DATA[:5], DATA[5:]])).read_bytes() == DATA


def test_which_words_name_a_place(tmp_path: Path) -> None:
    default, named = blobs.of(None, data=tmp_path), blobs.of("elsewhere", data=tmp_path)
    assert isinstance(default, Folder)
    assert isinstance(named, Folder)
    assert default.path == tmp_path / "repo" / "blobs"
    assert named.path == Path.cwd() / "elsewhere"
    for wrong in ("s3://", "https://bucket.example", "gs://bucket"):
        with pytest.raises(SettingsError, match="--blobs"):
            blobs.of(wrong, data=tmp_path)
