"""Where a .tflite file's numbers lie, wherever the writer put them."""

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from littoral.model import graph
from littoral_converter.anatomy import arrays

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes()


def packed(model: Any, tail: bytes = b"") -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()) + tail


def with_large_buffers() -> bytes:
    """Return the tiny model as it would be beyond 2 GiB: its data behind the flatbuffer."""
    model = schema.ModelT.InitFromPackedBuf(TINY, 0)
    data = {}
    for k, buffer in enumerate(model.buffers):
        if buffer.data is not None and len(buffer.data):
            data[k] = np.asarray(buffer.data, np.uint8).tobytes()
            buffer.data, buffer.offset, buffer.size = None, 2, len(data[k])
    size, tail = len(packed(model)), b""
    for k, plain in data.items():
        model.buffers[k].offset = size + len(tail)
        tail += plain
    return packed(model, tail)


@pytest.mark.parametrize("model", [TINY, with_large_buffers()], ids=["inside", "behind"])
def test_every_constant_lies_where_it_is_said_to(model: bytes) -> None:
    found = {(a.role, a.name): model[a.at : a.end] for a in arrays(model)}
    constants = [t for t in graph.read(model).tensors if t.data is not None and t.data.nbytes >= 16]
    assert len(constants) > 5
    for tensor in constants:
        assert tensor.data is not None
        assert found["data", tensor.name] == tensor.data.tobytes()
    for tensor in graph.read(model).tensors:
        if tensor.scales.size >= 4:
            assert found["scale", tensor.name] == tensor.scales.astype("<f4").tobytes()


def test_large_buffers_are_behind() -> None:
    model = with_large_buffers()
    assert {a.name for a in arrays(model) if a.role == "data"} == {
        a.name for a in arrays(TINY) if a.role == "data"
    }
    assert max(a.end for a in arrays(model)) == len(model)


def test_arrays_are_in_order_and_apart_and_know_their_numbers() -> None:
    found = arrays(TINY)
    assert all(a.end <= b.at for a, b in pairwise(found))
    widths = Counter((a.role, a.width) for a in found)
    assert widths["data", 1] >= 5  # weights
    assert widths["data", 4] >= 4  # biases
    assert widths["scale", 4]
    assert widths["zero point", 8]


def test_bytes_that_two_share_are_told_once() -> None:
    model = schema.ModelT.InitFromPackedBuf(with_large_buffers(), 0)
    large = [buffer for buffer in model.buffers if buffer.offset > 1 and buffer.size >= 64]
    size = len(packed(model))
    for k, buffer in enumerate(large):
        buffer.offset, buffer.size = size + 8 * k, 64
    found = arrays(packed(model, bytes(64 + 8 * len(large))))
    assert all(a.end <= b.at for a, b in pairwise(found))
    assert sum(a.at >= size for a in found) < len(large)


def test_what_a_compiler_put_in_is_found() -> None:
    model = schema.ModelT.InitFromPackedBuf(TINY, 0)
    model.subgraphs[0].operators[0].customOptions = np.arange(100, dtype=np.uint8)
    inside = packed(model)
    (options,) = [a for a in arrays(inside) if a.role == "options"]
    assert inside[options.at : options.end] == bytes(range(100))

    operator = model.subgraphs[0].operators[0]
    operator.customOptions = None
    operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = 2, 100
    operator.largeCustomOptionsOffset = len(packed(model))
    behind = packed(model, bytes(range(100)))
    (options,) = [a for a in arrays(behind) if a.role == "options"]
    assert behind[options.at : options.end] == bytes(range(100))


def test_what_is_no_model_has_no_arrays() -> None:
    assert arrays(b"") == arrays(b"labels\nof\nsomething\n") == arrays(bytes(1000)) == []


def test_a_damaged_model_is_still_a_file() -> None:
    rng = random.Random(1)
    for _ in range(300):
        at = rng.randrange(8, len(TINY) - 4)
        broken = TINY[:at] + rng.randbytes(4) + TINY[at + 4 :]
        assert all(a.end <= len(broken) for a in arrays(broken[: rng.randrange(100, len(broken))]))
