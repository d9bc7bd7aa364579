"""The quick way through JSON reads exactly what the careful way reads."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle.manifest import Tensor
from littoral_serve.protocols import json_document, numbers, predict_dom, predict_json
from littoral_serve.running.signatures import signatures

OUT = (Tensor(name="y", shape=(1, 2), dtype="float32"),)
SPECS = {
    "float": Tensor(name="x", shape=(1, 2, 3), dtype="float32"),
    "int8": Tensor(name="x", shape=(1, 2, 3), dtype="int8", scale=0.5),
    "uint8": Tensor(name="x", shape=(1, 2, 3), dtype="uint8", scale=0.5),
    "flat": Tensor(name="x", shape=(1, 4), dtype="int16"),
    "scalar": Tensor(name="x", shape=(1,), dtype="float32"),
    "thin": Tensor(name="x", shape=(1, 3, 1), dtype="int32"),
    "flag": Tensor(name="x", shape=(1, 2), dtype="bool"),
}
KNOWN = {name: signatures((spec,), OUT) for name, spec in SPECS.items()}
PIECES = [
    *("[", "]", "[[", "]]", "{", "}", ",", " ", "\n", "null", "true", '"1"', "NaN"),
    *("1", "-2", "3.5", "1e2", "300", "00", "-", "+1", ".5", "1.", "99999999999999999999999"),
]


@pytest.fixture(autouse=True, scope="module", params=[1, 20, 65536])
def _pieces(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wherever one piece ends and the next begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "_PIECE_BYTES", request.param)
        yield


def agree(body: bytes, known: Any) -> bool:
    """Compare the ways; return whether the quick one was taken."""
    quick = predict_json.fast(body, known)
    if quick is None:
        return False
    signature, arrays, rows = predict_dom.read(json_document.parse(body), known)
    assert (quick.signature, quick.rows) == (signature, rows)
    for ours, theirs in zip(quick.arrays, arrays, strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    return True


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("signature", ["serving_default", "float", "raw"])
@pytest.mark.parametrize("key", ["instances", "inputs"])
@pytest.mark.parametrize("indent", [None, 0, 3])
def test_a_usual_request_is_read_alike(
    kind: str, signature: str, key: str, indent: int | None
) -> None:
    view = KNOWN[kind][signature].inputs[0]
    rng = np.random.default_rng(0)
    shape = (5, *view.instance)
    if view.dtype == "float32":
        value = rng.normal(size=shape).astype(np.float32).tolist()
    elif view.dtype == "bool":
        value = rng.integers(0, 2, shape).astype(bool).tolist()
    else:
        value = rng.integers(0, 128, shape).tolist()
    document = {"signature_name": signature, key: value}
    body = json.dumps(document, indent=indent).encode()
    assert agree(body, KNOWN[kind]) is (kind != "flag")


@given(st.sampled_from(sorted(SPECS)), st.lists(st.sampled_from(PIECES), max_size=24))
def test_whatever_is_sent_they_agree(kind: str, pieces: list[str]) -> None:
    for key in ("instances", "inputs"):
        body = f'{{"{key}": [{"".join(pieces)}]}}'.encode()
        agree(body, KNOWN[kind])


@given(st.data())
def test_a_slip_in_a_good_request_is_never_read_as_another(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(set(SPECS) - {"flag"})))
    view = KNOWN[kind]["raw"].inputs[0]
    value = np.arange(2 * int(np.prod(view.instance))).reshape(2, *view.instance).tolist()
    body = bytearray(json.dumps({"signature_name": "raw", "instances": value}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + 1] = data.draw(
            st.sampled_from([b"", b"[", b"]", b",", b"1", b" ", b"-", b".", b"e"])
        )
    agree(bytes(body), KNOWN[kind])


def test_numbers_that_only_brackets_part_are_no_number() -> None:
    assert predict_json.fast(b'{"inputs": [[[1]2,[3],[4]]]}', KNOWN["thin"]) is None
    assert agree(b'{"inputs": [[[12],[3],[4]]]}', KNOWN["thin"])


def test_numbers_keep_every_bit_of_a_float32() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 6000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    bits = bits[np.isfinite(bits)][:5000]
    for text in (json.dumps(bits.tolist()), "[" + ",".join(map(str, bits.tolist())) + "]"):
        asked = predict_json.fast(f'{{"inputs":{text}}}'.encode(), KNOWN["scalar"])
        assert asked is not None
        assert np.array_equal(asked.arrays[0], bits)


def test_one_large_number_is_left_to_the_careful_way() -> None:
    body = b'{"instances": [1e39, 2]}'
    assert predict_json.fast(body, KNOWN["scalar"]) is None
    asked = predict_json.slow(body, KNOWN["scalar"])
    assert isinstance(asked, predict_json.PredictTensors)
    assert asked.arrays[0].tolist() == [np.inf, 2]


def test_a_large_request_takes_little_more_memory_than_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list of all its numbers would take eight times as much, and serve would keep some."""
    monkeypatch.setattr(numbers, "_PIECE_BYTES", 65536)
    rows = np.random.default_rng(0).random((100_000, 2, 3)).round(2).tolist()
    body = json.dumps({"instances": rows}, separators=(",", ":")).encode()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert predict_json.fast(body, KNOWN["float"]) is not None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 5 * len(body)
