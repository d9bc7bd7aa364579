import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError, StorageError
from littoral_converter import data
from littoral_converter.samples.asked import Asked


def picture(path: Path, value: int = 0, size: tuple[int, int] = (4, 6), **said: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path, **said)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for k in range(3):
        picture(tmp_path / f"dog/{k}.png", 100 + k)
        picture(tmp_path / f"cat/{k}.png", k)
    return tmp_path


def test_sub_folders_are_classes_in_the_order_of_their_names(pets: Path) -> None:
    found = data.read(pets, into=pets.parent / "x.npy")
    assert found.x.shape == (6, 4, 6, 3)
    assert found.x[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert found.y is not None
    assert found.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.labels == ("cat", "dog")
    assert found.preprocessing == Preprocessing(size=(4, 6), channels="rgb")


def test_labels_that_were_given_say_the_order(pets: Path) -> None:
    found = data.read(pets, Asked(labels=("dog", "cow", "cat")))
    assert found.y is not None
    assert found.y.tolist() == [2, 2, 2, 0, 0, 0]
    with pytest.raises(MalformedError, match="no class 'cat' among the labels"):
        data.read(pets, Asked(labels=("dog", "cow")))


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    picture(tmp_path / "a/monday/1.png")
    picture(tmp_path / "b/2.png")
    found = data.read(tmp_path)
    assert found.y is not None
    assert found.y.tolist() == [0, 1]


def test_classes_may_be_numbers(tmp_path: Path) -> None:
    for k in (0, 7, 9):
        picture(tmp_path / f"{k}/a.png", k)
    found = data.read(tmp_path)
    assert found.y is not None
    assert found.y.tolist() == [0, 7, 9]
    assert found.labels is None


def test_numbers_whose_order_is_not_sure_are_refused(tmp_path: Path) -> None:
    for k in range(11):
        picture(tmp_path / f"{k}/a.png")
    with pytest.raises(MalformedError, match="give --labels"):
        data.read(tmp_path)
    found = data.read(tmp_path, Asked(labels=tuple(map(str, range(11)))))
    assert found.y is not None
    assert sorted(found.y.tolist()) == list(range(11))


def test_a_table_says_the_classes(tmp_path: Path) -> None:
    picture(tmp_path / "p/one.png", 1)
    picture(tmp_path / "two.png", 2)
    (tmp_path / "labels.csv").write_text("file,class\ntwo.png, dog\np/one.png,cat\n")
    found = data.read(tmp_path)
    assert found.x[:, 0, 0, 0].tolist() == [2, 1]
    assert found.y is not None
    assert found.y.tolist() == [1, 0]
    assert found.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("one.png,a\none.png,b\n", "one.png stands there twice"),
        ("one.png,a\n../out.png,b\n", "line 2: ../out.png leads out"),
        ("one.png,a\n/etc/passwd,b\n", "line 2: /etc/passwd leads out"),
        ("one.png,a\ngone.png,b\n", "line 2: there is no file gone.png"),
        ("one.png,a,b\n", "line 1: expected file,class"),
        ("one.png\n", "line 1: expected file,class"),
        ("file,class\n", "expected pictures"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, table: str, words: str) -> None:
    picture(tmp_path / "in/one.png")
    picture(tmp_path / "out.png")
    (tmp_path / "in/labels.csv").write_text(table)
    with pytest.raises(MalformedError) as caught:
        data.read(tmp_path / "in")
    assert words in str(caught.value)


def test_pictures_alone_have_no_classes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    assert data.read(tmp_path).y is None
    picture(tmp_path / "sub/b.png")
    with pytest.raises(MalformedError, match=r"found both: a\.png has no class"):
        data.read(tmp_path)


def test_all_broken_pictures_are_counted_and_some_named(pets: Path) -> None:
    for k in range(5):
        (pets / f"cat/bad{k}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(k))
    with pytest.raises(MalformedError) as caught:
        data.read(pets)
    said = str(caught.value)
    assert "5 of 11 cannot be read: cat/bad0.jpg (" in said
    assert "cat/bad2.jpg" in said
    assert "and 2 more; mend or remove them" in said


def test_a_pipe_is_named_and_not_waited_for(pets: Path) -> None:
    os.mkfifo(pets / "cat/pipe.png")
    with pytest.raises(MalformedError, match=r"cat/pipe\.png \(is no regular file\)"):
        data.read(pets)


def test_a_link_to_itself_is_named(pets: Path) -> None:
    (pets / "cat/me.png").symlink_to("me.png")
    with pytest.raises(StorageError, match=r"cat/me\.png: "):
        data.read(pets)


def test_what_is_no_picture_by_its_name_is_left_out_and_told(pets: Path) -> None:
    (pets / "cat/notes.txt").write_text("purrs")
    (pets / "cat/.DS_Store").write_bytes(b"\0")
    (pets / "cow").mkdir()
    found = data.read(pets)
    assert len(found) == 6
    assert found.notes == (
        "files left out, for their names are no pictures': 1",
        "sub-folders without a picture: cow",
    )


def test_what_a_model_takes_decides_size_and_depth(pets: Path) -> None:
    said = Preprocessing(range=(-1.0, 1.0), resize="pad")
    found = data.read(pets, Asked(shape=(8, 8, 1), preprocessing=said))
    assert found.x.shape == (6, 8, 8, 1)
    assert found.x.min() == -1


def test_only_the_chosen_ones_are_opened(pets: Path) -> None:
    for k in range(50):
        (pets / f"cat/x{k}.png").write_bytes(b"broken")
    chosen = Asked(most=2, seed=0)
    with pytest.raises(MalformedError, match="1 of 2 cannot be read"):
        data.read(pets, chosen)


def test_the_digest_is_that_of_what_was_read(pets: Path) -> None:
    one = data.read(pets).sha256
    assert data.read(pets).sha256 == one
    lines = [
        f"{hashlib.sha256((pets / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png")
    ] + [f"{k}  \n" for k in (0, 0, 0, 1, 1, 1)]
    assert one == hashlib.sha256("".join(lines).encode()).hexdigest()
    picture(pets / "dog/0.png", 99)
    assert data.read(pets).sha256 != one


def test_sizes_that_differ_need_a_word_about_which_is_right(pets: Path) -> None:
    picture(pets / "cat/3.png", size=(9, 9))
    with pytest.raises(MalformedError, match=r"3\.png is \[9, 9\], and the first .*\[4, 6\]: say"):
        data.read(pets)
    assert data.read(pets, Asked(preprocessing=Preprocessing(size=(4, 4)))).x.shape[1:3] == (4, 4)
    assert data.read(pets, Asked(shape=(5, 5, 3))).x.shape[1:3] == (5, 5)
