"""One value of a predict request: told as if it were read an element at a time, and is not."""

import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from littoral.bundle.manifest import Tensor
from littoral_serve.protocols import json_document, oip_data, predict_dom, predict_values
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import View, signatures

OUT = (Tensor(name="y", shape=(1, 2), dtype="float32"),)
NAMES = {"float32": "float", "float16": "half"}


def view_of(dtype: Any, shape: tuple[int, ...] = (1, 2)) -> View:
    return signatures((Tensor(name="x", shape=shape, dtype=dtype),), OUT)["raw"].inputs[0]


def walked(value: Any, level: int, shape: list[int], dtype: str) -> None:
    """Raise the first mistake, an element at a time."""
    if not isinstance(value, list):
        if level != len(shape):
            raise InvalidArgumentError(
                f"{json_document.shown(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        fits = type(value) is bool if dtype == "bool" else type(value) in (int, float)
        if dtype.startswith(("int", "uint")):
            limits = np.iinfo(dtype)
            fits = type(value) is int and bool(limits.min <= value <= limits.max)
        if not fits:
            raise InvalidArgumentError(
                f"{json_document.shown(value)} Type: {json_document.kind(value)} is not of "
                f"expected type: {NAMES.get(dtype, dtype)}"
            )
        return
    if level >= len(shape):
        raise InvalidArgumentError(
            f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        )
    if len(value) != shape[level]:
        raise InvalidArgumentError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for inner in value:
        walked(inner, level + 1, shape, dtype)


LEAVES = st.one_of(
    st.sampled_from([0, 1, 2, -1, 127, 128, 256, 2**31, 2**63, 2**64, 0.5, 1e39]),
    st.sampled_from([True, False, None, "x", {}, {"b64": "AA=="}]),
)
NESTED = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4), max_leaves=24)


@st.composite
def slips(draw: st.DrawFn) -> Any:
    """Return what is nested as it should be, but for a few places."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    value: Any = draw(st.sampled_from([0, 1, 1.5, True]))
    for size in reversed(shape):
        value = [value] * size
    value = json.loads(json.dumps(value))  # no list is there twice
    for _ in range(draw(st.integers(0, 3))):
        where = value
        while isinstance(where, list) and where:
            at = draw(st.integers(0, len(where) - 1))
            if not isinstance(where[at], list) or draw(st.booleans()):
                where[at] = draw(NESTED)
                break
            where = where[at]
    return value


@given(
    st.one_of(NESTED, slips()),
    st.sampled_from(["float32", "float16", "int8", "uint8", "int64", "bool"]),
)
@example([[[1]], [[1]], [[True]]], "int8")
@example([[[1, 2]], [[1, 2]], [[1]]], "int8")
@example([[], []], "float32")
def test_the_first_mistake_is_told_as_if_each_element_were_looked_at(
    value: Any, dtype: str
) -> None:
    shape: list[int] = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    mistake = None
    try:
        walked(value, 0, shape, dtype)
    except InvalidArgumentError as e:
        mistake = str(e)
    if mistake is not None:
        with pytest.raises(InvalidArgumentError) as told:
            predict_values.nested(value, view_of(dtype))
        assert str(told.value) == mistake
        return
    array = predict_values.nested(value, view_of(dtype))
    with np.errstate(over="ignore"):
        want = np.array(value, dtype)
    assert array.dtype == want.dtype
    assert array.shape == tuple(shape)
    assert np.array_equal(array, want)


def test_a_whole_number_beyond_all_floats_is_the_clients_mistake() -> None:
    with pytest.raises(InvalidArgumentError, match="a number does not fit in float"):
        predict_values.nested([1, 10**400], view_of("float32"))


def steps(act: Callable[[], object]) -> int:
    """Return how many calls of Python's and C's functions ``act`` makes."""
    count = 0

    def one(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(one)
    try:
        with pytest.raises(InvalidArgumentError):
            act()
    finally:
        sys.setprofile(None)
    return count


PICTURE = (1, 64, 64, 3)


@pytest.mark.parametrize("wrong", [True, 256, [1], "x"])
def test_a_mistake_at_the_end_is_not_looked_for_an_element_at_a_time(wrong: Any) -> None:
    """A list of 16 MiB whose last number was wrong kept all other clients for half a minute."""
    rows = np.zeros(PICTURE, int).tolist()
    rows[-1][-1][-1][-1] = wrong
    known = signatures((Tensor(name="x", shape=PICTURE, dtype="uint8"),), OUT)
    limit = np.prod(PICTURE) // 4
    assert steps(lambda: predict_values.nested(rows, known["raw"].inputs[0])) < limit
    if wrong != [1]:  # there, lists may be nested as they please
        assert steps(lambda: oip_data.from_value(rows, PICTURE, "uint8", name="x")) < limit


@pytest.mark.parametrize("wrap", [lambda row: row, lambda row: {"x": row}], ids=["plain", "named"])
def test_nor_is_one_among_many_instances_an_instance_at_a_time(wrap: Callable[[Any], Any]) -> None:
    known = signatures((Tensor(name="x", shape=(1, 1), dtype="float32"),), OUT)
    document = {"instances": [wrap([1]) for _ in range(3000)] + [wrap(["x"])]}
    assert steps(lambda: predict_dom.read(document, known)) < 2000
    with pytest.raises(InvalidArgumentError, match=r"process element: 3000 .*Type: String"):
        predict_dom.read(document, known)


def test_instances_that_are_alike_and_others_keep_their_order() -> None:
    known = signatures((Tensor(name="x", shape=(1, 1), dtype="float32"),), OUT)
    coded = {"b64": "AACAPw=="}
    for items in ([[3], [4], coded, [5]], [coded, [3], [4]], [[3], [4]], [[3]]):
        _, (array,), rows = predict_dom.read({"instances": items}, known)
        assert rows
        assert array.tolist() == [[1.0] if item is coded else item for item in items]
        named = {"instances": [{"x": item} for item in items]}
        assert predict_dom.read(named, known)[1][0].tolist() == array.tolist()


def test_a_picture_takes_little_more_memory_than_its_array() -> None:
    """A list of all its numbers beside the lists stayed with serve."""
    rows = np.random.default_rng(0).integers(0, 255, (1, 128, 128, 3)).tolist()
    view = view_of("float32", (1, 128, 128, 3))
    tracemalloc.start()
    try:
        predict_values.nested(rows, view)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 450_000


@pytest.mark.parametrize(
    "text",
    [
        "[1,18446744073709551616]",
        "[1,-9223372036854775809]",
        "[-0,-0.0,1E5]",
        "[NaN,1e400]",
        "[1] behind",
        '{"a":1,"a":"\\ud800"}',
        "[1,]",
        "7",
    ],
)
def test_a_large_document_is_read_as_a_small_one(text: str) -> None:
    body = f'{{"instances":{text}'.encode()

    def told(space: int) -> str:
        try:
            return repr(json_document.parse(body + b" " * space + b"}"))
        except InvalidArgumentError as e:
            return str(e)

    assert told(json_document.LARGE) == told(0)
