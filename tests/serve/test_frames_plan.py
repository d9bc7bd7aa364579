"""What a head comes to: where its inputs lie in a body, and how its answer begins."""

import gc

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral.wire import frames
from littoral.wire.frames import Done, Kind, Run, Spec
from littoral_serve.protocols.frames_plan import Plan, spec_of
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import InvalidArgumentError
from simulators.loaded import loaded

WIDE = Spec("wide", "float32", (1, 3))
FLAG = Spec("flag", "uint8", (1, 1))


class Two:
    """A session of two inputs and two outputs, which are not alike."""

    inputs = (
        Tensor(name="wide", shape=(1, 3), dtype="float32"),
        Tensor(name="flag", shape=(1, 1), dtype="uint8"),
    )
    outputs = inputs

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        return inputs


@pytest.fixture
def live() -> Live:
    return loaded(Two(), release=4)


def plan(live: Live, *specs: Spec) -> Plan:
    return Plan(Run(model="m", inputs=specs), live, live.signatures["raw"])


def test_inputs_are_found_where_they_lie_and_come_as_the_model_takes_them(live: Live) -> None:
    wide, flag = np.array([[1, 2, 3]], np.float32), np.array([[7]], np.uint8)
    for specs, body in (((WIDE, FLAG), (wide, flag)), ((FLAG, WIDE), (flag, wide))):
        data = memoryview(bytearray(b"".join(array.tobytes() for array in body)))
        first, second = plan(live, *specs).arrays(data)
        assert np.array_equal(first, wide)
        assert np.array_equal(second, flag)
        data[:] = bytes(len(data))
        assert not first.any()  # looked at in place, not copied


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ((WIDE, WIDE), "'wide' is there twice"),
        ((WIDE,), "expected the inputs ['flag', 'wide'], found ['wide']"),
        ((WIDE, FLAG, Spec("odd", "uint8", (1,))), "found ['flag', 'odd', 'wide']"),
        ((WIDE, Spec("flag", "int8", (1, 1))), "expected uint8, found int8"),
    ],
)
def test_inputs_that_are_not_as_the_signature_says_are_refused(
    live: Live, specs: tuple[Spec, ...], says: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        plan(live, *specs)
    assert says in str(refused.value)


@pytest.mark.parametrize("size", [0, 12, 14])
def test_a_body_of_another_length_is_refused(live: Live, size: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"says 13 bytes, the body has {size}"):
        plan(live, WIDE, FLAG).arrays(memoryview(bytes(size)))


def test_shapes_are_checked_and_instances_counted_where_the_first_body_is_seen(live: Live) -> None:
    with pytest.raises(InvalidArgumentError, match="Expecting shape"):
        plan(live, Spec("wide", "float32", (1, 1, 3)), FLAG).arrays(memoryview(bytes(13)))
    several = plan(live, Spec("wide", "float32", (5, 3)), Spec("flag", "uint8", (5, 1)))
    several.arrays(memoryview(bytes(65)))
    assert several.count == 5


def test_an_answer_says_its_shapes_and_the_same_plan_says_others(live: Live) -> None:
    one = plan(live, WIDE, FLAG)
    for count in (1, 1, 5, 1):
        outputs = np.full((count, 3), 0.5, np.float32), np.full((count, 1), 9, np.uint8)
        answer = one.answer(outputs)
        kind, head, body, within_ms = frames.sizes(answer)
        assert (kind, body, within_ms) == (Kind.DONE, count * 13, 0)
        start = frames.HEADER.size
        said = frames.read(Done, answer[start : start + head])
        assert (said.model, said.release) == ("m", 4)
        specs = Spec("wide", "float32", (count, 3)), Spec("flag", "uint8", (count, 1))
        assert said.outputs == specs
        assert answer[start + head :] == b"".join(output.tobytes() for output in outputs)


def test_a_plan_keeps_no_release(live: Live) -> None:
    model = loaded(Two())
    kept = plan(model, WIDE, FLAG)
    assert kept.live() is model
    del model
    gc.collect()
    assert kept.live() is None
    assert spec_of(live.signatures["raw"].inputs[1], (1, 1)) == FLAG
