import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.errors import MalformedError, MisuseError
from littoral_converter import data
from littoral_converter.samples import asked
from littoral_converter.samples.asked import Asked
from patience import patient

X = np.arange(24, dtype=np.float32).reshape(4, 2, 3)


def npz(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def test_samples_classes_and_labels_are_read(tmp_path: Path) -> None:
    found = data.read(npz(tmp_path, x=X, y=[0, 1, 1, 0], labels=["cat", "dog"]))
    assert np.array_equal(found.x, X)
    assert found.y is not None
    assert found.y.tolist() == [0, 1, 1, 0]
    assert found.labels == ("cat", "dog")
    assert found.x.shape[1:] == (2, 3)
    assert len(found) == 4
    assert len(found.sha256) == 64


def test_npy_holds_samples_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.uint8))
    found = data.read(tmp_path / "x.npy")
    assert found.x.dtype == np.float32
    assert found.y is None
    assert found.labels is None


@pytest.mark.parametrize("y", [[[0], [2], [1], [0]], [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]])
def test_classes_may_stand_in_a_column_or_be_one_hot(tmp_path: Path, y: list[list[int]]) -> None:
    found = data.read(npz(tmp_path, x=X, y=y))
    assert found.y is not None
    assert found.y.tolist() == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": [1]}, "no array 'x'; there are: y"),
        ({"images": X}, "no array 'x'; there are: images"),
        ({"x": np.zeros((0, 2), np.float32)}, "at least one sample"),
        ({"x": np.zeros(3, np.float32)}, "at least one sample"),
        ({"x": np.array([["a", "b"]])}, "expected numbers"),
        ({"x": np.where(X == 13, np.nan, X)}, "sample 2 holds NaN"),
        ({"x": np.where(X == 23, np.inf, X)}, "sample 3 holds NaN or infinity"),
        ({"x": X, "y": [0, 1]}, "expected 4 classes"),
        ({"x": X, "y": [0.5, np.nan, 1, 1]}, "true numbers"),
        ({"x": X, "y": [-1, 1, 1, 1]}, "0 and above"),
        ({"x": X, "labels": [1, 2]}, "a list of names"),
    ],
)
def test_what_cannot_be_samples_is_refused(
    tmp_path: Path, arrays: dict[str, Any], words: str
) -> None:
    with pytest.raises(MalformedError, match=r"data\.npz") as caught:
        data.read(npz(tmp_path, **arrays))
    assert words in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('ran')",))


def test_python_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(MalformedError, match="never loaded"):
        data.read(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MalformedError, match="found something that begins"):
        data.read(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    whole = npz(tmp_path, x=X).read_bytes()
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MalformedError, match="expected arrays of numbers"):
        data.read(cut)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(1_000_000))
    monkeypatch.setattr(asked, "MAX_BYTES", 999_999)
    assert path.stat().st_size < 10_000
    with pytest.raises(MalformedError, match="at most 999999 bytes"):
        data.read(path)


def test_an_array_that_says_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, X)
    text = path.read_bytes()
    path.write_bytes(text.replace(b"(4, 2, 3)", b"(9, 2, 3)"))
    with pytest.raises(MalformedError, match=r"expected \[9, 2, 3\] of float32, found 96 bytes"):
        data.read(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_same_samples_are_read_into_a_file(tmp_path: Path, order: Any) -> None:
    np.save(tmp_path / "x.npy", np.asarray(X, order=order))
    found = data.read(tmp_path / "x.npy", into=tmp_path / "read.npy")
    assert np.array_equal(found.x, X)
    assert isinstance(found.x, np.memmap)
    assert str(found.x.filename) == str(tmp_path / "read.npy")


def test_the_chosen_ones_come_from_all_classes(tmp_path: Path) -> None:
    x, y = np.arange(1000, dtype=np.float32)[:, None], np.zeros(1000, np.int64)
    y[500:503], y[900] = 1, 2
    found = data.read(npz(tmp_path, x=x, y=y), Asked(most=20))
    assert found.y is not None
    assert np.bincount(found.y).tolist() == [16, 3, 1]
    assert np.array_equal(found.y, y[found.x[:, 0].astype(int)])
    assert (len(found), found.of) == (20, 1000)
    again = data.read(npz(tmp_path, x=x, y=y), Asked(most=20))
    other = data.read(npz(tmp_path, x=x, y=y), Asked(most=20, seed=1))
    assert np.array_equal(again.x, found.x)
    assert not np.array_equal(other.x, found.x)


def test_a_gigabyte_is_read_in_little_memory(tmp_path: Path) -> None:
    """A sparse file of zeros and ones, in a process that may take 150 MiB more than it has."""
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (1024, 1024, 1024)}
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(2**30 - 1, os.SEEK_CUR)
        file.write(b"\1")
    script = (
        "import sys\nfrom pathlib import Path\nfrom littoral_converter import data\n"
        "from littoral_converter.samples.asked import Asked\n"
        "found = data.read(Path(sys.argv[1]), Asked(most=8), into=Path(sys.argv[2]))\n"
        "from littoral.resident import peak_bytes\nprint(len(found), peak_bytes() // 2**20)"
    )
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "read.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=patient(60))
    count, peak = map(int, done.stdout.split())
    assert count == 8
    assert peak < 150


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="expected pictures, in sub-folders"):
        data.read(tmp_path)


def test_what_is_no_data_says_what_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("cats and dogs")
    with pytest.raises(MalformedError, match=r"expected \.npz \(x, and y .* or TFRecord; found"):
        data.read(tmp_path / "notes.txt")


def test_nothing_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="no such file"):
        data.read(tmp_path / "gone.npz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(MisuseError, match="no regular file"):
        data.read(tmp_path / "pipe.npz")


def test_labels_are_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat \nhot dog\n\n")
    assert data.read_labels(path) == ("cat", "hot dog")


@pytest.mark.parametrize(("text", "words"), [(b"\n", "found none"), (b"\xff\xfe", "UTF-8")])
def test_labels_that_are_none_are_refused(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text)
    with pytest.raises(MalformedError, match=words):
        data.read_labels(path)
    with pytest.raises(MisuseError, match="no such file"):
        data.read_labels(tmp_path / "gone.txt")
