"""Each operator, cut out into a model of its own."""

import pytest

from littoral.model import graph
from littoral.model.backends import open_session
from littoral_serve.bench import feeding, operators
from simulators.served import model


@pytest.mark.parametrize("name", ["tiny_int8", "tiny_float", "two_int8"])
def test_every_operator_is_told_in_order(name: str) -> None:
    found, note = operators.profile(model(name), backend="litert", threads=1, seconds_each=0.0005)
    assert note == ""
    assert [one.op for one in found] == [node.op for node in graph.read(model(name)).nodes]
    assert sum(one.share for one in found) == pytest.approx(1, abs=0.01)
    assert all(one.us >= 0 for one in found)


def test_an_operator_alone_computes_what_it_does_in_the_model() -> None:
    """The first one, whose input is the model's: the reference says what comes out of it."""
    data = model("tiny_int8")
    known = graph.read(data)
    cut = operators._cut(operators._unpacked(data), 0, data)
    alone, slow = open_session("litert", cut), open_session("reference", cut)
    assert alone.inputs[0].shape == known.tensors[known.inputs[0]].shape
    assert [node.op for node in graph.read(cut).nodes] == [known.nodes[0].op]
    sample = feeding.inputs(alone.inputs, None, (), read=lambda _: b"")[0][0]
    assert abs(alone.run(*sample)[0].astype(int) - slow.run(*sample)[0]).max() <= 1


def test_what_cannot_be_cut_says_why() -> None:
    found, note = operators.profile(b"nonsense", backend="litert", threads=1, seconds_each=0.01)
    assert not found
    assert "not a .tflite" in note
    found, note = operators.profile(b"", backend="onnx", threads=1, seconds_each=0.01)
    assert not found
    assert "onnx" in note
