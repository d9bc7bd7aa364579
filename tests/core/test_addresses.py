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
    [
        *(("Edge.local:8501", "edge.local"), ("edge", "edge"), ("[::1]:80", "::1"), ("", "")),
        *(("[FE80::1%eth0]", "fe80::1%eth0"), ("edge:", "edge"), (":80", "")),
    ],
)
def test_the_name_in_a_host_header_has_no_port(header: str, name: str) -> None:
    assert addresses.host_of(header) == name


@pytest.mark.parametrize(
    "header",
    [
        *("[::1]evil", "[::1]evil:80", "[::1", "::1", "localhost:evil", "localhost:80:evil"),
        *(
            "localhost:80@evil",
            "localhost]",
            "[localhost]",
            "[127.0.0.1]",
            "[[::1]]",
            "localhost:٣",
        ),
    ],
)
def test_what_only_begins_with_a_name_is_none(header: str) -> None:
    """Who reads on would take another part of it for the name."""
    assert addresses.host_of(header) == ""
