"""Addresses as people write them."""

import pytest

from littoral import addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8501", ("127.0.0.1", 8501)),
        ("edge.local:0", ("edge.local", 0)),
        ("[::1]:8501", ("::1", 8501)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert addresses.split(text) == expected
    assert addresses.join(*expected) == text


@pytest.mark.parametrize("text", ["", "8080", ":80", "a:", "a:b", "a:-1", "a:65536", "a:٣"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        addresses.split(text)


@pytest.mark.parametrize(
    ("header", "name"),
    [("Edge.local:8501", "edge.local"), ("edge", "edge"), ("[::1]:80", "::1"), ("", "")],
)
def test_the_name_in_a_host_header_has_no_port(header: str, name: str) -> None:
    assert addresses.host_of(header) == name
