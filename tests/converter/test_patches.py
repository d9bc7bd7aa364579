"""A patch is small because it knows tensors, and right whatever it knows."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from converter.test_anatomy import packed, with_large_buffers
from littoral.bundle import frames, patch
from littoral.bundle.patch import PIECE, Run, Way
from littoral_converter import patches
from littoral_converter.anatomy import Array, arrays

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes()
OTHER = (FIXTURES / "tiny_int8_b.tflite").read_bytes()
RNG = np.random.default_rng(3)


def applied(data: bytes, base: bytes, size: int) -> bytes:
    return b"".join(patch.apply(io.BytesIO(data).read, lambda at, n: base[at : at + n], size=size))


def made(base: bytes, file: bytes) -> int:
    """Return the size of the patch, which makes ``file`` again."""
    data = patches.make(base, file)
    assert applied(data, base, len(file)) == file
    return len(data)


def drifted(model: bytes, steps: float) -> bytes:
    """Return ``model`` with all weights a little beside, as training on leaves them."""
    out = np.frombuffer(model, np.uint8).copy()
    for array in arrays(model):
        if (array.role, array.width) == ("data", 1):
            noise = RNG.normal(0, steps, array.size).round().astype(np.int8)
            out[array.at : array.end] += noise.view(np.uint8)
    return out.tobytes()


@pytest.mark.parametrize("file", [TINY, OTHER, b"", b"x", bytes(3 * PIECE), TINY[:-3]])
@pytest.mark.parametrize("base", [TINY, OTHER, b"", b"x", bytes(PIECE), TINY[:999]])
def test_the_file_comes_back_from_any_base(base: bytes, file: bytes) -> None:
    made(base, file)


def test_the_same_file_is_a_few_bytes() -> None:
    assert made(TINY, TINY) < 50


def test_a_drift_is_its_differences() -> None:
    file = drifted(TINY, 0.6)
    assert made(TINY, file) < 0.5 * len(frames.encode(file))


def test_large_buffers_are_known_as_well() -> None:
    base = with_large_buffers()
    file = drifted(base, 0.6)
    assert made(base, file) < 0.5 * len(frames.encode(file))


def shuffled(model: bytes) -> bytes:
    """Return ``model`` with its buffers in another order, as another converter writes them."""
    root: Any = schema.ModelT.InitFromPackedBuf(model, 0)
    order = [0, *RNG.permutation(np.arange(1, len(root.buffers)))]
    root.buffers = [root.buffers[k] for k in order]
    new = {int(old): k for k, old in enumerate(order)}
    for tensor in root.subgraphs[0].tensors:
        tensor.buffer = new[tensor.buffer]
    for metadata in root.metadata or ():
        metadata.buffer = new[metadata.buffer]
    return packed(root)


def test_tensors_are_found_where_they_went() -> None:
    base = packed(schema.ModelT.InitFromPackedBuf(TINY, 0))
    file = drifted(shuffled(base), 0.6)
    assert made(base, file) < made(base, drifted(base, 0.6)) + 500


def renamed(model: bytes) -> bytes:
    root: Any = schema.ModelT.InitFromPackedBuf(model, 0)
    for k, tensor in enumerate(root.subgraphs[0].tensors):
        tensor.name = f"another/name/{k}".encode()
    return packed(root)


def test_tensors_of_other_names_go_by_their_place() -> None:
    base = packed(schema.ModelT.InitFromPackedBuf(TINY, 0))
    matched = patches.matched(arrays(base), arrays(renamed(base)))
    assert [old for _, old in sorted(matched.items())] == arrays(base)


def test_differences_of_wide_numbers_are_small_in_their_last_bytes() -> None:
    """Scales that all grew by a hair: most of what changes is in their first two bytes."""
    root: Any = schema.ModelT.InitFromPackedBuf(TINY, 0)
    for buffer in root.buffers[1:2]:
        buffer.data = RNG.normal(0, 1, 5000).astype("<f4").view(np.uint8)
        root.subgraphs[0].tensors[0].buffer = 1
        root.subgraphs[0].tensors[0].type = schema.TensorType.FLOAT32
    base = packed(root)
    root.buffers[1].data = (root.buffers[1].data.view("<f4") * np.float32(1.0002)).view(np.uint8)
    file = packed(root)
    assert made(base, file) < 0.6 * len(frames.encode(file))


def test_no_table_is_too_long_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    base = RNG.bytes(PIECE)
    order = [int(k) for k in RNG.permutation(PIECE // 16)]
    file = b"".join(base[16 * k : 16 * k + 16] for k in order)
    here = [Array(16 * k, 16, 1, "data", str(k)) for k in range(PIECE // 16)]
    there = [Array(16 * at, 16, 1, "data", str(k)) for at, k in enumerate(order)]
    monkeypatch.setattr(patches, "arrays", lambda data: here if data is base else there)
    made(base, file)


def test_a_wide_number_is_never_cut() -> None:
    runs = [Run(Way.NEW, 3), Run(Way.NEW, 2 * PIECE, 0, 4), Run(Way.COPY, 5, 7)]
    pieces = list(patches._pieces(runs))
    assert all(run.size % run.width == 0 for piece in pieces for run in piece)
    assert [sum(run.size for run in piece) for piece in pieces] == [PIECE - 1, PIECE, 9]


def test_a_few_equal_bytes_between_differences_need_no_run() -> None:
    runs = [Run(Way.ADD, 100, 0), Run(Way.COPY, 12, 100), Run(Way.ADD, 100, 112)]
    assert list(patches._joined(runs)) == [Run(Way.ADD, 212, 0)]
    long = [Run(Way.ADD, 100, 0), Run(Way.COPY, 1000, 100), Run(Way.ADD, 100, 1100)]
    assert list(patches._joined(long)) == long


def test_a_long_stretch_is_like_its_base_to_the_end() -> None:
    base = RNG.bytes(300_000)
    file = np.frombuffer(base, np.uint8).copy()
    file[::5] += 1
    assert made(base, file.tobytes()) < 1000


def test_new_numbers_that_are_wide_travel_first_bytes_first() -> None:
    root: Any = schema.ModelT.InitFromPackedBuf(TINY, 0)
    root.buffers[1].data = RNG.normal(0, 1, 20_000).astype("<f4").view(np.uint8)
    root.subgraphs[0].tensors[0].buffer = 1
    root.subgraphs[0].tensors[0].type = schema.TensorType.FLOAT32
    file = packed(root)
    assert made(b"", file) < 0.97 * len(frames.encode(file))


def test_bytes_that_are_no_model_refer_to_the_base() -> None:
    base = RNG.bytes(400_000)
    assert made(base, base[5000:300_000] + b"more" + base[:5000]) < 1000


@given(data=st.data())
def test_any_file_comes_back(data: st.DataObject) -> None:
    base = data.draw(st.binary(max_size=600)) * data.draw(st.integers(0, 40))
    file = bytearray(base[: data.draw(st.integers(0, len(base)))])
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(file)))
        file[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=20))
    made(base, bytes(file))
