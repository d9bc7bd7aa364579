"""Elements of BYTES: behind their lengths, and never beyond what is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.wire import elements


@given(st.lists(st.binary(max_size=9)))
def test_what_was_packed_is_unpacked(said: list[bytes]) -> None:
    assert [*elements.unpack(elements.pack(said))] == said


@pytest.mark.parametrize(
    "data", [b"\1", b"\1\0\0\0", b"\3\0\0\0ab", b"\xff\xff\xff\xffx", b"\0\0\0\0\0"]
)
def test_what_is_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="longer than what is left"):
        [*elements.unpack(data)]
