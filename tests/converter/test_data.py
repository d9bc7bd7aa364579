import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.errors import MalformedError, MisuseError
from littoral_converter import data

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
        ({"x": X, "y": [0.5, 1, 1, 1]}, "whole numbers"),
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
    monkeypatch.setattr(data, "MAX_BYTES", 999_999)
    assert path.stat().st_size < 10_000
    with pytest.raises(MalformedError, match="at most 999999 bytes"):
        data.read(path)


def test_a_folder_of_images_is_not_read_yet_and_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"expected \.npz \(x, and y"):
        data.read(tmp_path)


def test_nothing_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="no such file"):
        data.read(tmp_path / "gone.npz")


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
