"""Requests of the Open Inference Protocol: what is read, what is kept, what is refused."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral_serve.protocols import oip_data, oip_request
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.protocols.oip_request import InferTensors
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import signatures

OUT = (Tensor(name="y", shape=(1, 4), dtype="int8", scale=0.5, zero_point=1),)
PICTURE = (Tensor(name="x", shape=(1, 2, 3), dtype="uint8", scale=0.1),)
MIXED = (
    Tensor(name="a", shape=(1, 2), dtype="int8", scale=0.25, zero_point=3),
    Tensor(name="b", shape=(1,), dtype="bool"),
    Tensor(name="c", shape=(1, 3), dtype="float16"),
    Tensor(name="d", shape=(1, 2), dtype="int64"),
)


def face(inputs: tuple[Tensor, ...] = PICTURE, *, batch: int | None = 1) -> Face:
    return Face("m", 3, signatures(inputs, OUT), batch)


def head(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def one(shape: Any = (1, 2, 3), datatype: str = "UINT8", name: str = "x", **more: Any) -> Any:
    return {"name": name, "shape": shape, "datatype": datatype, **more}


def binary(x: Array, datatype: str = "UINT8", name: str = "x") -> Any:
    return one(x.shape, datatype, name, parameters={"binary_data_size": x.nbytes})


def read(known: Face, text: bytes, rest: bytes = b"") -> InferTensors:
    return oip_request.read(known, text + rest, str(len(text)).encode() if rest else None)


X = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)


def test_binary_tensors_are_not_copied() -> None:
    asked = read(face(), head(binary(X)), X.tobytes())
    assert np.array_equal(asked.arrays[0], X)
    base: object = asked.arrays[0]
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, bytes)  # the body itself


def test_a_head_that_came_before_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = face()
    text = head(binary(X))
    first = read(known, text, X.tobytes())
    monkeypatch.delattr("littoral_serve.protocols.oip_plan.read")
    again = read(known, text, (X + 1).tobytes())
    assert again.plan is first.plan
    assert np.array_equal(again.arrays[0], X + 1)


def test_an_id_makes_no_other_head() -> None:
    known = face()
    several = [
        oip_request.read(known, text + X.tobytes(), b"%d" % len(text))
        for text in (json.dumps({"id": f"n {n}", "inputs": [binary(X)]}).encode() for n in range(9))
    ]
    assert [asked.id for asked in several] == [f"n {n}" for n in range(9)]
    assert read(known, head(binary(X), id="last"), X.tobytes()).id == "last"
    assert len(known.plans) == 1


def test_lists_of_numbers_make_no_other_head(monkeypatch: pytest.MonkeyPatch) -> None:
    known = face()
    for n in range(9):
        asked = read(known, head(one(data=(X + n).tolist())))
        assert np.array_equal(asked.arrays[0], X + n)
        monkeypatch.delattr("littoral_serve.protocols.oip_plan.read", raising=n == 0)


@pytest.mark.parametrize("data", [X.tolist(), X.ravel().tolist()], ids=["nested", "flat"])
def test_lists_of_numbers_do_not_become_pythons(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("littoral_serve.protocols.oip_data.from_value")
    assert np.array_equal(read(face(), head(one(data=data))).arrays[0], X)


def test_no_more_lists_are_cut_than_there_are_inputs() -> None:
    """Each is looked for in all the rest: many would take long."""
    text, cuts = oip_data.cut(b'"data":[1],' * 100, most=2)
    assert len(cuts) == 2
    assert text.count(b"[1]") == 98


def test_heads_that_differ_do_not_fill_the_memory() -> None:
    known = face()
    for n in range(1000):
        read(known, head(binary(X), parameters={"n": n}), X.tobytes())
        read(known, head(one(data=X.tolist()), more="x" * n))
        read(known, head(one(data=X.tolist()), id=f"{n}"))
    assert len(known.plans) <= 64
    assert sum(len(text) for text, _ in known.plans) < 64 * 4096


def test_a_list_and_its_number_are_not_taken_for_each_other() -> None:
    known = face()
    read(known, head(one(data=X.tolist())))
    for _ in range(2):
        with pytest.raises(InvalidArgumentError, match="Unable to parse 'data'"):
            read(known, head(one(data=0)))


def test_tensors_in_binary_come_in_the_order_in_which_they_are_named() -> None:
    given_ = {
        "d": (np.array([[5, -6]], np.int64), "INT64"),
        "b": (np.array([True]), "BOOL"),
        "a": (np.array([[1, -2]], np.int8), "INT8"),
        "c": (np.array([[1, 2, 3]], np.float16), "FP16"),
    }
    text = head(*(binary(x, kind, name) for name, (x, kind) in given_.items()))
    asked = read(face(MIXED), text, b"".join(x.tobytes() for x, _ in given_.values()))
    for view, array in zip(asked.plan.signature.inputs, asked.arrays, strict=True):
        assert np.array_equal(array, given_[view.name][0])
        assert array.dtype == given_[view.name][0].dtype


def test_binary_and_json_may_stand_side_by_side() -> None:
    d = np.array([[5, -6]], np.int64)
    inputs = [
        one((1,), "BOOL", "b", data=[True]),
        binary(d, "INT64", "d"),
        one((1, 2), "FP32", "a", data=[[0.5, 1]]),
        one((1, 3), "FP32", "c", data=[1, 2, 3]),
    ]
    asked = read(face(MIXED), head(*inputs), d.tobytes())
    assert [array.tolist() for array in asked.arrays] == [
        [[0.5, 1]],
        [True],
        [[1, 2, 3]],
        [[5, -6]],
    ]


def test_a_boolean_is_one_of_two() -> None:
    """A byte may be 7: what then computes with it may see neither true nor false."""
    specs = (Tensor(name="x", shape=(1, 4), dtype="bool"),)
    text = head(one((1, 4), "BOOL", parameters={"binary_data_size": 4}))
    asked = read(face(specs), text, bytes([0, 1, 7, 255]))
    assert asked.arrays[0].tobytes() == bytes([0, 1, 1, 1])


@pytest.mark.parametrize(
    ("datatypes", "outputs"),
    [
        ({"x": "UINT8"}, "float32"),
        ({"x": "FP32"}, "float32"),
        ({"a": "FP32", "c": "FP32"}, "float32"),
        ({"a": "INT8", "c": "FP16"}, "int8"),
        ({"a": "INT8", "c": "FP32"}, "float32"),  # no signature has both so: the usual one's
    ],
)
def test_outputs_are_seen_as_the_signature_shows_them_that_the_inputs_make(
    datatypes: dict[str, str], outputs: str
) -> None:
    specs = PICTURE if "x" in datatypes else MIXED
    names = {"int64": "INT64", "bool": "BOOL"}
    inputs = [
        one(s.shape, datatypes.get(s.name) or names[s.dtype], s.name, data=[0] * np.prod(s.shape))
        for s in specs
        if s.dtype != "bool"
    ]
    inputs += [one((1,), "BOOL", s.name, data=[False]) for s in specs if s.dtype == "bool"]
    asked = read(face(specs), json.dumps({"inputs": inputs}, default=int).encode())
    assert asked.plan.signature.outputs[0].dtype == outputs
    for view, array in zip(asked.plan.signature.inputs, asked.arrays, strict=True):
        assert array.dtype == view.dtype


def test_without_a_batch_the_shape_is_the_models() -> None:
    known = face(batch=None)
    assert read(known, head(one(data=X.tolist()))).arrays[0].shape == X.shape
    twice = np.concatenate([X, X])
    with pytest.raises(InvalidArgumentError, match=r"Expected \[1,2,3\], got \[2,2,3\]"):
        read(known, head(binary(twice)), twice.tobytes())
    with pytest.raises(InvalidArgumentError, match="Expected 6, got 12"):
        oip_request.read(known, twice.tobytes(), b"0")


@pytest.mark.parametrize("size", [0, 5, 7, 11])
def test_raw_bytes_are_whole_instances(size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="byte size mismatch"):
        oip_request.read(face(), bytes(size), b"0")
    assert oip_request.read(face(), bytes(12), b"0").arrays[0].shape == (2, 2, 3)
    with pytest.raises(InvalidArgumentError, match="has 4 inputs, expected 1"):
        oip_request.read(face(MIXED), bytes(12), b"0")


VALUES = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=4),
)
NESTED = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=6), max_leaves=20)


@given(NESTED)
def test_lists_are_read_as_json_says_or_refused(data: Any) -> None:
    """Quickly or carefully: nothing but numbers that fit becomes a tensor."""
    flat: list[Any] = []

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                walk(inner)
        else:
            flat.append(value)

    walk(data)
    fits = isinstance(data, list) and len(flat) == 6
    fits = fits and all(type(value) is int and 0 <= value < 256 for value in flat)
    if fits:
        assert read(face(), head(one(data=data))).arrays[0].ravel().tolist() == flat
    else:
        with pytest.raises(InvalidArgumentError):
            read(face(), head(one(data=data)))


WORDS = [
    "inputs",
    "outputs",
    "name",
    "shape",
    "datatype",
    "data",
    "parameters",
    "id",
    "binary_data_size",
    "binary_data",
    "classification",
    "timeout",
    "signature_name",
    "shared_memory_region",
    "binary_data_output",
]
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=30,
)


@given(DOCUMENTS, DOCUMENTS, st.binary(max_size=20))
def test_whatever_comes_is_read_or_refused(changed: Any, added: Any, rest: bytes) -> None:
    change = changed if isinstance(changed, dict) else {}
    for document in (
        changed,
        {"inputs": [binary(X) | change]},
        {"inputs": [one(data=X.tolist()) | change]},
        {"inputs": [binary(X)], "outputs": [added], "parameters": changed},
        {"inputs": [one(data=X.tolist())], "id": added, "parameters": added},
    ):
        text = json.dumps(document).encode()
        for length in (None, b"0", b"%d" % len(text)):
            with contextlib.suppress(InvalidArgumentError):
                (array,) = oip_request.read(face(), text + rest, length).arrays
                assert array.shape[1:] == (2, 3)


@pytest.mark.parametrize(
    "text",
    [
        b'{"data":[' * 100_000,
        b'{"inputs":[' + b'{"data":[1],' * 50_000,
        b'{"inputs":' + b'"data":[' * 50_000,
        b'{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2,3],"data":' + b"[" * 100_000,
        b'{"inputs":[{"name":"x","datatype":"UINT8","shape":' + b"[" * 50_000 + b"]" * 50_000,
        b'{"inputs":[{"name":"x","datatype":"UINT8","data":[1,2,3,4,5,6],"shape":['
        + b"1," * 50_000
        + b"1]}]}",
        b'{"inputs":[{"name":"x","datatype":"UINT8","data":[1],"shape":[999999999,2,3]}]}',
    ],
)
def test_hostile_texts_are_refused_soon(text: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        read(face(), text)


def test_an_escaped_quote_before_data_is_no_list() -> None:
    with pytest.raises(InvalidArgumentError):
        read(face(), b'{"inputs":[{"\\"data":[1,2,3,4,5,6],"name":"x"}]}')
    odd = head(one(data=X.tolist(), note='"data":[1,2]'))
    assert np.array_equal(read(face(), odd).arrays[0], X)


def test_half_a_character_is_the_clients_mistake_before_it_is_to_be_sent_back() -> None:
    with pytest.raises(InvalidArgumentError, match="surrogates"):
        oip_data.document(b'{"id": "\\ud800", "inputs": []}')
    assert oip_data.document(b'{"id": "\\ud83d\\ude00"}') == {"id": "\U0001f600"}
