import pytest

from littoral.errors import MalformedError
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
