"""The memory in which a TPU's child and serve hand each other tensors."""

import os

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral_serve.tpu import sheet
from littoral_serve.tpu.sheet import Sheet

INPUTS = (
    Tensor(name="a", shape=(3,), dtype="uint8"),
    Tensor(name="b", shape=(2, 2), dtype="float32"),
)
OUTPUTS = (Tensor(name="y", shape=(), dtype="int64"), Tensor(name="z", shape=(1, 4), dtype="int8"))


@pytest.fixture
def pair() -> tuple[Sheet, Sheet]:
    """What either of the two processes has of it."""
    fd = sheet.memory(INPUTS, OUTPUTS)
    try:
        return Sheet(fd, INPUTS, OUTPUTS), Sheet(fd, INPUTS, OUTPUTS)
    finally:
        os.close(fd)  # the memory goes with the last of the two


def test_what_one_writes_the_other_reads(pair: tuple[Sheet, Sheet]) -> None:
    serve, child = pair
    a, b = np.array([1, 2, 255], np.uint8), np.array([[0.5, -1], [3, 4]], np.float32)
    serve.fill([a, b])
    assert [view.tolist() for view in child.inputs] == [a.tolist(), b.tolist()]
    child.outputs[0][...] = -7
    y, z = serve.made()
    assert (y.tolist(), y.dtype.name) == (-7, "int64")
    assert z.tolist() == [[0] * 4]
    assert [view.tolist() for view in serve.inputs] == [a.tolist(), b.tolist()]


def test_an_answer_stays_when_the_next_is_made(pair: tuple[Sheet, Sheet]) -> None:
    serve, child = pair
    child.outputs[0][...] = 1
    first, _ = serve.made()
    child.outputs[0][...] = 2
    assert first == 1


def test_each_tensor_begins_where_a_line_of_the_cache_does(pair: tuple[Sheet, Sheet]) -> None:
    views = (*pair[0].inputs, *pair[0].outputs)
    assert {view.__array_interface__["data"][0] % 64 for view in views} == {0}


def test_nobody_can_take_the_memory_away_from_the_other() -> None:
    """A child that shrank it would end serve with a signal."""
    fd = sheet.memory(INPUTS, OUTPUTS)
    try:
        for size in (0, 2**20):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, size)
    finally:
        os.close(fd)


def test_memory_that_is_too_small_is_refused() -> None:
    fd = sheet.memory(INPUTS, ())
    try:
        with pytest.raises(ValueError, match="size"):
            Sheet(fd, INPUTS, OUTPUTS)
    finally:
        os.close(fd)
