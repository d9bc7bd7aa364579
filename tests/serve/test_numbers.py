"""Lists of numbers in JSON, read without making them: what is read, and what is left alone."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral_serve.protocols import numbers


@pytest.fixture(autouse=True, scope="module", params=[1, 20, 65536])
def _pieces(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wherever one piece ends and the next begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "_PIECE_BYTES", request.param)
        yield


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "float32"])
@pytest.mark.parametrize("shape", [(1,), (7,), (1, 2, 3), (4, 1), (3, 2, 2, 2)])
@pytest.mark.parametrize("indent", [None, 1])
def test_what_numpy_writes_is_read(shape: tuple[int, ...], dtype: str, indent: int | None) -> None:
    array = np.random.default_rng(0).normal(0, 40, shape).astype("int8").astype(dtype)
    text = json.dumps(array.tolist(), indent=indent).encode()
    got = numbers.read(text, shape[1:], dtype)
    assert got is not None
    assert np.array_equal(got, array)
    flat = numbers.read(json.dumps(array.ravel().tolist()).encode(), (), dtype)
    assert flat is not None
    assert flat.dtype == dtype


def test_many_numbers_of_one_digit_are_read() -> None:
    text = json.dumps([[7] * 2000] * 2, separators=(",", ":")).encode()
    got = numbers.read(text, (2000,), "float32")
    assert got is not None
    assert got.tolist() == [[7] * 2000] * 2


ODD = """
[]  [,]  [1,]  [,1]  [1,,2]  [1 2]  [1],[2]  [[1],2]  [1,[2]]  [1]]  [true]  [1,false]  [null]
["1"]  [{}]  [{"a":1}]  [NaN]  [0x1]  [256]  [-1]  [1.5]  [1e400]  [+1]  [01]  [1.]
[1,2,3,4,5,6,7,8,9,10,11,12,]
"""


@pytest.mark.parametrize("text", re.split(r"\s{2,}|\n", ODD.strip()))
@pytest.mark.parametrize("instance", [(), (1,), (2,)])
def test_what_is_no_list_of_such_numbers_is_left_alone(
    text: str, instance: tuple[int, ...]
) -> None:
    assert numbers.read(text.encode(), instance, "uint8") is None


VALUES = st.one_of(st.integers(-300, 300), st.floats(), st.booleans(), st.none(), st.text("1,]["))


@given(st.recursive(VALUES, lambda inner: st.lists(inner, max_size=4), max_leaves=8))
def test_it_agrees_with_json_or_says_nothing(data: Any) -> None:
    text = json.dumps([data]).encode()
    for instance in ((), (1,), (2,), (2, 2)):
        got = numbers.read(text, instance, "int16")
        if got is not None:
            assert got.tolist() == [data]
            assert not isinstance(data, bool)


def test_a_type_that_json_has_not_is_left_alone() -> None:
    assert numbers.read(b"[1]", (), "float16") is None
    assert numbers.read(b"[1]", (), "bool") is None
