"""What a head comes to: which inputs, which outputs, until when."""

from typing import Any

import pytest

from littoral.bundle.manifest import Tensor
from littoral_serve.protocols import oip_plan
from littoral_serve.protocols.oip_plan import Face, InferPlan
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import signatures


def tensors(*names: str) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=name, shape=(1, 2), dtype="float32") for name in names)


FACE = Face("m", 1, signatures(tensors("a", "b"), tensors("y", "z")), 1)


def one(name: str, **more: Any) -> dict[str, Any]:
    said = {"parameters": {"binary_data_size": 8}} | more
    return {"name": name, "shape": [1, 2], "datatype": "FP32", **said}


def read(*inputs: dict[str, Any], **more: Any) -> InferPlan:
    return oip_plan.read(FACE, {"inputs": list(inputs or (one("a"), one("b"))), **more}, cuts=0)


def test_inputs_lie_behind_the_head_in_the_order_of_the_request() -> None:
    plan = read(one("b"), one("a"))
    assert [(place.start, place.nbytes) for place in plan.places] == [(8, 8), (0, 8)]  # a, b
    assert plan.nbytes == 16


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ("a", "b", "a"), ()])
def test_each_input_is_there_once(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=f"expected 2 inputs but got {len(names)}"):
        oip_plan.read(FACE, {"inputs": [one(name) for name in names]}, cuts=0)


def test_outputs_come_as_they_are_asked_for_and_in_that_order() -> None:
    assert [(w.at, w.binary) for w in read().wanted] == [(0, False), (1, False)]
    asked = [{"name": "z"}, {"name": "y", "parameters": {"binary_data": False}}]
    said = {"binary_data_output": True}
    plan = read(outputs=asked, parameters=said)
    assert [(w.at, w.binary) for w in plan.wanted] == [(1, True), (0, False)]
    assert not plan.whole
    assert read(parameters=said).whole
    classes = [{"name": "y", "parameters": {"classification": 3, "binary_data": True}}]
    assert read(outputs=classes).wanted[0].classes == 3
    assert not read(outputs=classes).whole


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([{"name": "q"}], "unexpected inference output 'q' for model 'm'"),
        ([{"name": "y"}, {"name": "y"}], "unexpected inference output 'y' for model 'm'"),
        (
            [{"name": "y", "parameters": {"shared_memory_region": "r"}}],
            "shared memory is not offered",
        ),
    ],
)
def test_outputs_that_cannot_be_had_are_refused(outputs: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        read(outputs=outputs)


def test_a_timeout_comes_in_microseconds_and_0_is_none() -> None:
    assert read(parameters={"timeout": 3}).timeout_ns == 3000
    assert read(parameters={"timeout": 0}).timeout_ns is None
    assert read().timeout_ns is None


@pytest.mark.parametrize(
    ("name", "seen"), [(None, "float32"), ("float", "float32"), ("raw", "int8")]
)
def test_inputs_of_several_views_leave_the_outputs_to_the_signature(
    name: str | None, seen: str
) -> None:
    stored = [Tensor(name=n, shape=(1, 2), dtype="int8", scale=0.5, zero_point=1) for n in "aby"]
    face = Face("m", 1, signatures(stored[:2], stored[2:]), 1)
    b = one("b", datatype="INT8", parameters={"binary_data_size": 2})
    parameters = {} if name is None else {"signature_name": name}
    plan = oip_plan.read(face, {"inputs": [one("a"), b], "parameters": parameters}, cuts=0)
    assert [view.dtype for view in plan.signature.inputs] == ["float32", "int8"]
    assert [view.dtype for view in plan.signature.outputs] == [seen]
