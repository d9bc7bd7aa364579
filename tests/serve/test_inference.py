"""One request: what fits, what of it is run when, and what is counted."""

import time
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral_serve.running.inference import Inference
from littoral_serve.running.refusals import InvalidArgumentError
from simulators.loaded import loaded

X = Tensor(name="x", shape=(1, 2), dtype="int8", scale=0.5, zero_point=0)


class Session:
    """A session that nobody runs here."""

    def __init__(self, *outputs: Tensor) -> None:
        self.inputs, self.outputs = (X,), outputs or (X,)

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        return inputs


def asked(*arrays: Any, outputs: tuple[Tensor, ...] = (), **said: Any) -> Inference:
    """Return a request for ``arrays``, as they are stored unless a signature is named."""
    live = loaded(Session(*outputs))
    signature = live.signatures[said.pop("signature", "raw")]
    usual = {"arrived_ns": time.perf_counter_ns(), "start_ns": time.perf_counter_ns()}
    return Inference(live, signature, arrays, then=lambda _: None, **{**usual, **said})


def rows(count: int) -> Array:
    return np.arange(2 * count, dtype=np.int8).reshape(count, 2)


def test_rows_are_taken_a_batch_at_a_time_and_come_back_in_their_order() -> None:
    one = asked(rows(5))
    assert (one.count, one.rows, one.nbytes) == (5, 5, 10)
    parts = []
    while not one.done:
        (part,), count = one.take(2)
        assert len(part) == count
        parts.append(count)
        one.ran((part,))
    assert parts == [2, 2, 1]
    (made,) = one.outputs()
    assert np.array_equal(made, rows(5))
    wider = asked(rows(5))
    wider.take(2)
    assert wider.take(5)[0][0].tolist() == rows(5)[2:].tolist()


def test_all_rows_are_taken_where_nobody_says_how_many_at_most() -> None:
    assert asked(rows(5)).take(None)[1] == 5
    one = asked(rows(5))
    assert len(one.whole()[0]) == 5
    assert one.taken == 5


def test_real_numbers_are_stored_and_seen_at_the_border() -> None:
    one = asked(np.array([[0.5, -1.0]], np.float32), signature="float")
    assert one.stored[0].tolist() == [[1, -2]]
    one.ran(one.whole())
    assert one.outputs()[0].tolist() == [[0.5, -1.0]]
    assert one.outputs()[0].dtype == np.float32
    with pytest.raises(InvalidArgumentError):
        asked(np.array([[np.nan, 0]], np.float32), signature="float")


@pytest.mark.parametrize("shape", [(2,), (1, 3), (0, 2), (1, 2, 1), ()])
def test_what_is_not_shaped_as_the_input_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"input x: Expecting shape \[\d,2\] but got"):
        asked(np.zeros(shape, np.int8))


def test_more_arrays_than_inputs_are_refused_and_fewer() -> None:
    for arrays in ((), (rows(1), rows(1))):
        with pytest.raises(InvalidArgumentError):
            asked(*arrays)


def test_without_a_batch_it_is_one_whole_of_its_own_shape() -> None:
    """Its output has no row for each of them: nothing could be cut from it."""
    three = Tensor(name="y", shape=(3,), dtype="float32")
    one = asked(rows(1), outputs=(three,))
    assert (one.count, one.rows) == (None, 1)
    assert one.take(1)[1] == 1
    one.ran((np.zeros(3, np.float32),))
    assert one.done
    with pytest.raises(InvalidArgumentError, match=r"Expecting shape \[1,2\] but got: \[2,2\]"):
        asked(rows(2), outputs=(three,))


def test_a_failure_ends_it_and_is_raised() -> None:
    one = asked(rows(5))
    one.take(2)
    one.fail(BackendError("the model failed"))
    assert one.done
    with pytest.raises(BackendError, match="the model failed"):
        one.outputs()


def test_all_that_was_answered_is_counted() -> None:
    one = asked(rows(5))
    seen: list[int] = []

    class Answers:
        def add(self, made: tuple[Array, ...]) -> None:
            seen.append(len(made[0]))

    one.live.meter.answers = Answers()  # type: ignore[assignment]
    while not one.done:
        one.ran(one.take(2)[0])
    one.answered(postprocess_ns=7000)
    assert seen == [2, 2, 1]
    assert (one.live.meter.requests, one.live.meter.instances) == (1, 5)
    assert one.live.meter.totals()[3].sum == pytest.approx(7)


def test_a_request_never_waited_for_less_than_no_time() -> None:
    """Its reading may have begun before all of it was here, and is not counted twice."""
    one = asked(rows(1), start_ns=time.perf_counter_ns() - 10**9)
    one.take(1)
    one.ran((rows(1),))
    one.answered(postprocess_ns=0)
    waited, read, *_ = one.live.meter.totals()
    assert (waited.count, waited.sum) == (1, 0)
    assert read.sum >= 10**6
