"""Lists of pixels in JSON, read without making them: what is read, and what is left alone."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral_serve.protocols import octets


@pytest.fixture(autouse=True, scope="module", params=[5, 23, 65536])
def _pieces(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wherever one piece ends and the next begins; few numbers, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(octets, "_PIECE_BYTES", request.param)
        patch.setattr(octets, "_LEAST", 2)
        yield


SEPARATORS = [(",", ":"), (", ", ": ")]


@pytest.mark.parametrize("shape", [(1, 7), (1, 2, 3), (4, 5), (3, 2, 2, 2), (2, 300)])
@pytest.mark.parametrize("separators", SEPARATORS)
def test_what_json_writes_is_read(shape: tuple[int, ...], separators: tuple[str, str]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    array.flat[:3] = 0, 10, 255
    got = octets.read(json.dumps(array.tolist(), separators=separators).encode(), shape[1:])
    assert got is not None
    assert got.dtype == np.uint8
    assert np.array_equal(got, array.ravel())
    flat = octets.read(json.dumps(array.ravel().tolist(), separators=separators).encode(), ())
    assert flat is not None
    assert np.array_equal(flat, array.ravel())


ODD = """
[]  [,]  [1,]  [,1]  [1,,2]  [1 2]  [1],[2]  [[1,2],3]  [1,[2]]  [1,2]]  [true]  [1,false]  [null]
["1"]  [{}]  [{"a":1}]  [NaN]  [0x1]  [256,1]  [1,-1]  [1.5,2]  [1e40,1]  [+1,1]  [01,1]  [1.,2]
[00,1]  [1,2]3  4[1,2]  [1,2 ]  [ 1,2]  [1 ,2]  [1,  2]  [1,2,3  1,2]  [1234,1]  [1000,1]  [999,1]
[[1,2]3]  [3[1,2]]  [[1,2],]  [[1,2]  [[1,2]]]  [[1,2],[3]]  [[1,2]3,[4,5]]  [[1,2],3[4,5]]  [[12]]
[[1,2],[3,4],5]  [[1,2][3,4]]  [[1, 2],[3,4]]  [[1,2], [3,4]]  [[1,2],[3,4]  [256, 1]  [1 , 2]
[[1,\t2]]  0[1,2]]  0[[1,2]]  [[1,2]}  [[1,2],[3,4]}  [[1,\n2]]  [[1,2:]]  [[1,2/]]  [[1,\x002]]
"""


@pytest.mark.parametrize("text", re.split(r"\s{2,}|\n", ODD.strip()))
@pytest.mark.parametrize("instance", [(), (2,), (2, 2), (1, 2), (3,)])
def test_what_is_no_list_of_pixels_is_left_alone(text: str, instance: tuple[int, ...]) -> None:
    data = text.encode().decode("unicode_escape").encode()
    assert octets.read(data, instance) is None


ARRAYS = st.lists(st.lists(st.integers(0, 299), min_size=2, max_size=3), min_size=1, max_size=6)


@given(ARRAYS, st.sampled_from(SEPARATORS), st.data())
def test_it_agrees_with_json_or_says_nothing(
    array: list[list[int]], separators: tuple[str, str], data: st.DataObject
) -> None:
    """One byte more, less or another: whatever is read, JSON reads as well, and the same."""
    text = bytearray(json.dumps(array, separators=separators).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(at, min(at + 1, len(text))))
    text[at:end] = data.draw(st.sampled_from([b"", b"0", b"7", b",", b"[", b"]", b" ", b":", b"-"]))
    for instance in ((2,), (3,), ()):
        got = octets.read(bytes(text), instance)
        if got is not None:
            known = np.array(json.loads(text))
            assert known.shape[1:] == instance
            assert got.tolist() == known.ravel().tolist()


def test_few_and_too_many_numbers_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(octets, "_LEAST", 4)
    assert octets.read(b"[1,2,3]", ()) is None
    assert octets.read(b"[[1,2,3],[1,2,3]]", (3,)) is None
    assert octets.read(b"[1,2,3,4]", ()) is not None
    monkeypatch.setattr(octets, "_MOST", 4)
    assert octets.read(b"[1,2,3,4,5]", ()) is None


def test_what_many_instances_cost_is_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked at where it is: nothing of the rest is copied or weighed for it."""
    monkeypatch.setattr(octets, "_PIECE_BYTES", 64 * 1024)
    text = json.dumps([[255] * 100] * 5000, separators=(",", ":")).encode()

    class Text(bytes):
        def __getitem__(self, key: Any) -> Any:
            raise AssertionError("a part of the text is copied")

    weighed: list[int] = []
    weigh = octets._weighed

    def counted(digits: Any, is_digit: Any) -> Any:
        weighed.append(len(digits))
        return weigh(digits, is_digit)

    monkeypatch.setattr(octets, "_weighed", counted)
    got = octets.read(Text(text), (100,))
    assert got is not None
    assert len(got) == 500_000
    assert sum(weighed) < 1.1 * len(text)
