from pathlib import Path

import pytest

from littoral.errors import MalformedError, StorageError
from littoral.model.tasks import labels


def test_each_line_is_a_name() -> None:
    found = labels.read(b"\xef\xbb\xbfcat\r\n  dog \nn/a\n\n")
    assert found.names == ("cat", "dog", "n/a")
    assert (found[1], found[7], found[-1]) == ("dog", "7", "-1")


def test_a_line_without_a_name_keeps_its_number() -> None:
    found = labels.read(b"cat\n\ndog\n")
    assert (len(found), found[1], found[2]) == (3, "1", "dog")


def test_a_number_before_each_name_is_its_class() -> None:
    text = b"0  person\n2: car\n17, cat\n"
    found = labels.read(text, numbered=True)
    assert (found[0], found[1], found[2], found[17]) == ("person", "1", "car", "cat")
    assert labels.read(text).names[1] == "2: car"


def test_numbers_alone_are_names() -> None:
    assert labels.read(b"1\n2\n5\n", numbered=True).names == ("1", "2", "5")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"caf\xe9\n", b"x\n" * 100_001, b"x" * 5_000_000])
def test_what_names_nothing_or_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match="labels: expected"):
        labels.read(data)


def test_a_file_that_somebody_names_is_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("1 one\n0 nil\n")
    assert labels.of_file(file).names == ("nil", "one")
    file.write_bytes(b"\xff")
    with pytest.raises(MalformedError, match=r"names\.txt: labels: expected UTF-8"):
        labels.of_file(file)
    with pytest.raises(StorageError, match="expected a file"):
        labels.of_file(tmp_path)


def test_names_of_another_model_are_told() -> None:
    known = labels.Labels(("nil", "one"))
    assert labels.doubt(known, 2) is None
    assert labels.doubt(known, 10) == "2 names for 10 classes: are they this model's?"
