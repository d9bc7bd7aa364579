"""The prediction: every pair of a public model and what the compiler made of it, and the rules."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral_converter import graph
from littoral_converter.edgetpu import compiled, mapping, predict, rules
from littoral_converter.graph import Graph, Operator, Subgraph, Tensor
from simulators.edgetpu_compiled import compiled as made

FIXTURES = Path(__file__).parents[1] / "fixtures"
CORAL = Path(__file__).parents[3] / "shared/models/coral"
PAIRS = sorted(path.name.replace("_edgetpu", "") for path in CORAL.glob("*_edgetpu.tflite"))


@pytest.mark.skipif(not PAIRS, reason="the collection of public models is not here")
@pytest.mark.parametrize("name", PAIRS)
def test_of_every_public_pair_each_operator_is_predicted_right(name: str) -> None:
    """What the compiler left is still there by name: it is compared one by one, not counted."""
    plain = graph.read((CORAL / name).read_bytes())
    twin = graph.read((CORAL / name.replace(".tflite", "_edgetpu.tflite")).read_bytes())
    found = predict.predict(plain)
    truth = [o for o in twin.main.operators if o.name != compiled.OPERATOR]
    assert Counter(_ends(plain, [left.index for left in found.left])) == Counter(
        (o.name, *(twin.main.tensors[k].name for k in o.outputs)) for o in truth
    )
    assert len(found.mapped) == len(plain.main.operators) - len(truth)
    assert all(left.reason for left in found.left)


def _ends(found: Graph, indices: list[int]) -> list[tuple[str, ...]]:
    held = found.main
    return [
        (held.operators[k].name, *(held.tensors[t].name for t in held.operators[k].outputs))
        for k in indices
    ]


@pytest.mark.skipif(not PAIRS, reason="the collection of public models is not here")
@pytest.mark.parametrize("name", PAIRS)
def test_a_compiled_files_mapping_is_what_was_predicted_of_its_twin(name: str) -> None:
    plain = graph.read((CORAL / name).read_bytes())
    twin = graph.read((CORAL / name.replace(".tflite", "_edgetpu.tflite")).read_bytes())
    assert mapping.twins(twin, plain)
    read, told = mapping.of(twin, twin=plain), mapping.of(plain)
    assert (read.source, told.source) == ("compiled", "predicted")
    assert (read.mapped, read.cpu) == (told.mapped, told.cpu)
    assert {k: set(v) for k, v in read.reasons.items()} == {
        k: set(v) for k, v in told.reasons.items()
    }


def test_dense_layers_with_a_scale_a_channel_are_left_and_what_is_behind_them() -> None:
    found = mapping.of(graph.read((FIXTURES / "tiny_int8.tflite").read_bytes()))
    assert found.mapped == 9
    assert found.cpu == {"ADD": 1, "FULLY_CONNECTED": 2, "RESHAPE": 1, "SOFTMAX": 1}
    assert any("per tensor" in words for words in found.reasons["FULLY_CONNECTED"])
    assert "the result of FULLY_CONNECTED" in found.reasons["SOFTMAX"][0]


def test_of_a_float_model_nothing_is_mapped() -> None:
    found = mapping.of(graph.read((FIXTURES / "tiny_float.tflite").read_bytes()))
    assert found.mapped == 0
    told = [words for reasons in found.reasons.values() for words in reasons]
    assert all("quantize the model fully" in words for words in told)


def test_without_its_twin_a_compiled_file_does_not_say_how_much_is_mapped() -> None:
    data = (FIXTURES / "tiny_int8.tflite").read_bytes()
    count = len(graph.read(data).main.operators)
    twin = graph.read(made(data, left={count - 1}))
    alone = mapping.of(twin)
    assert alone.mapped is None
    assert alone.left == 1
    assert mapping.of(twin, twin=graph.read(data)).mapped == count - 1
    (words,) = alone.reasons.values()
    assert words == ("the compiler left it, for a reason of its own",)


def tensor(*shape: int, dtype: str = "int8", data: Any = None, scales: int = 1) -> Tensor:
    return Tensor(
        name="t",
        shape=shape,
        dtype=dtype,
        scales=(0.5,) * scales,
        zero_points=(0,) * scales,
        data=None if data is None else np.asarray(data).view(np.uint8).reshape(-1),
    )


def numbers(*values: int) -> Tensor:
    return tensor(len(values), dtype="int32", data=np.asarray(values, np.int32), scales=0)


def why(name: str, inputs: list[Tensor], output: Tensor, **more: Any) -> str | None:
    tensors = (*inputs, output)
    operator = Operator(
        name=name,
        version=more.pop("version", 1),
        inputs=tuple(range(len(inputs))),
        outputs=(len(inputs),),
        options=more.pop("options", {}),
        **more,
    )
    held = Subgraph(tensors=tensors, operators=(operator,), inputs=(0,), outputs=(len(inputs),))
    return rules.why_not(operator, held)


IMAGE = tensor(1, 8, 8, 4)
WEIGHTS = tensor(4, 3, 3, 4, data=np.ones(144, np.int8))
CASES: list[tuple[str, list[Tensor], Tensor, dict[str, Any], str]] = [
    ("HARD_SWISH", [IMAGE], IMAGE, {}, "no such operator: use relu6"),
    ("GATHER", [IMAGE], IMAGE, {}, "no such operator"),
    ("Flex", [IMAGE], IMAGE, {"custom": True}, "a custom operator"),
    ("ADD", [tensor(1, 4, dtype="float32"), tensor(1, 4)], tensor(1, 4), {}, "works on float32"),
    ("ADD", [tensor(1, 4, dtype="int16")] * 2, tensor(1, 4, dtype="int16"), {}, "works on int16"),
    ("RELU", [tensor(1, 4, scales=0)], tensor(1, 4), {}, "without a scale"),
    ("RELU", [tensor(2, 8, 8, 4)], tensor(2, 8, 8, 4), {}, "three innermost"),
    ("CONV_2D", [IMAGE, IMAGE], IMAGE, {}, "weights are computed"),
    ("CONV_2D", [IMAGE, WEIGHTS], IMAGE,
     {"options": {"DilationWFactor": 2, "DilationHFactor": 1}}, "differs in x and y"),
    ("MAX_POOL_2D", [IMAGE], IMAGE, {"options": {"FusedActivationFunction": 1}}, "is fused"),
    ("FULLY_CONNECTED", [tensor(1, 4), tensor(2, 4, data=np.ones(8, np.int8), scales=2)],
     tensor(1, 2), {}, "per tensor"),
    ("FULLY_CONNECTED", [tensor(3, 4), tensor(2, 4, data=np.ones(8, np.int8))], tensor(3, 2), {},
     "one dimension"),
    ("FULLY_CONNECTED", [tensor(1, 4), tensor(2, 4, data=np.ones(8, np.int8))], tensor(1, 2),
     {"options": {"WeightsFormat": 1}}, "shuffled"),
    ("FULLY_CONNECTED", [tensor(1, 4), tensor(2, 4, data=np.ones(8, np.int8))], tensor(1, 2),
     {"version": 12}, "version 12"),
    ("CONCATENATION", [IMAGE, tensor(1, 8, 8, 4, data=np.ones(256, np.int8))], tensor(1, 8, 8, 8),
     {}, "not all zeros"),
    ("CONCATENATION", [IMAGE, IMAGE, tensor(1, 8, 8, 4, data=np.zeros(256, np.int8))],
     tensor(1, 8, 8, 12), {}, "more than one other"),
    ("SOFTMAX", [tensor(1, 20_000)], tensor(1, 20_000), {}, "16,000"),
    ("SOFTMAX", [tensor(1, 8, 4)], tensor(1, 8, 4), {}, "one dimension"),
    ("MEAN", [tensor(1, 8, 8, 6), numbers(3)], tensor(1, 8, 8), {}, "no multiple of 4"),
    ("MEAN", [tensor(1, 256, 128, 3), numbers(1, 2)], tensor(1, 3), {}, "too many"),
    ("MEAN", [IMAGE, numbers(0)], tensor(8, 8, 4), {}, "across the batch"),
    ("SUM", [IMAGE, numbers(0)], tensor(8, 8, 4), {}, "across the batch"),
    ("PACK", [IMAGE], IMAGE, {"options": {"Axis": 0}}, "across the batch"),
    ("PAD", [IMAGE, numbers(1, 1, 0, 0, 0, 0, 0, 0)], IMAGE, {}, "pads the batch"),
    ("SPLIT", [numbers(0), IMAGE], IMAGE, {}, "across the batch"),
    ("PRELU", [IMAGE, tensor(8, 8, 4, data=np.ones(256, np.int8))], IMAGE, {}, "slope differs"),
    ("RESIZE_BILINEAR", [tensor(1, 1, 1, 4), numbers(33, 33)], tensor(1, 33, 33, 4), {},
     "33 times"),
    ("RESIZE_NEAREST_NEIGHBOR", [IMAGE, numbers(16, 16)], tensor(1, 16, 16, 4), {"version": 3},
     "version 3"),
    ("STRIDED_SLICE", [IMAGE, numbers(0), numbers(8), numbers(2)], IMAGE, {}, "not all 1"),
    ("STRIDED_SLICE", [IMAGE, numbers(0), numbers(8), numbers(1)], IMAGE,
     {"options": {"NewAxisMask": 1}}, "new axis"),
    ("RESHAPE", [IMAGE, tensor(2, dtype="int32")], tensor(1, 256), {}, "shape is computed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "inputs", "output", "more", "words"), CASES, ids=[f"{c[0]}: {c[4]}" for c in CASES]
)
def test_a_limit_is_seen_and_said(
    name: str, inputs: list[Tensor], output: Tensor, more: dict[str, Any], words: str
) -> None:
    assert words in (why(name, inputs, output, **dict(more)) or "nothing")


@pytest.mark.parametrize(
    ("name", "inputs", "output"),
    [
        ("CONV_2D", [IMAGE, WEIGHTS], IMAGE),
        ("FULLY_CONNECTED", [tensor(1, 4), tensor(2, 4, data=np.ones(8, np.int8))], tensor(1, 2)),
        (
            "CONCATENATION",
            [IMAGE, tensor(1, 8, 8, 4, data=np.zeros(256, np.int8))],
            tensor(1, 8, 8, 8),
        ),
        ("MEAN", [IMAGE, numbers(1, 2)], tensor(1, 4)),
        ("MEAN", [IMAGE, numbers(3)], tensor(1, 8, 8)),
        ("PAD", [IMAGE, numbers(0, 0, 1, 1, 1, 1, 0, 0)], tensor(1, 10, 10, 4)),
        ("SPLIT", [numbers(3), IMAGE], tensor(1, 8, 8, 2)),
        ("RESIZE_BILINEAR", [IMAGE, numbers(16, 16)], tensor(1, 16, 16, 4)),
        ("STRIDED_SLICE", [IMAGE, numbers(0), numbers(8), numbers(1)], IMAGE),
        ("RESHAPE", [IMAGE, numbers(1, 256)], tensor(1, 256)),
    ],
)
def test_what_keeps_the_limits_is_mapped(name: str, inputs: list[Tensor], output: Tensor) -> None:
    assert why(name, inputs, output) is None


def chain(*names: str, feeds: dict[int, tuple[int, ...]] | None = None) -> Graph:
    """Return a graph: operator k takes tensor k, or those that ``feeds`` names, and gives k + 1."""
    operators = tuple(
        Operator(name=name, version=1, inputs=(feeds or {}).get(k, (k,)), outputs=(k + 1,))
        for k, name in enumerate(names)
    )
    tensors = tuple(tensor(1, 4) for _ in range(len(names) + 1))
    held = Subgraph(tensors=tensors, operators=operators, inputs=(0,), outputs=(len(names),))
    return Graph(subgraphs=(held,))


def test_a_beginning_on_the_processor_does_no_harm() -> None:
    assert predict.predict(chain("ABS", "RELU", "RELU")).mapped == (1, 2)


def test_what_comes_back_from_the_processor_stays_there() -> None:
    found = predict.predict(chain("RELU", "ABS", "RELU", "RELU"))
    assert found.mapped == (0,)
    assert found.cpu == {"ABS": 1, "RELU": 2}
    assert "the result of ABS" in found.reasons["RELU"][0]


def test_a_branch_beside_it_stays_mapped() -> None:
    found = predict.predict(chain("RELU", "ABS", "RELU", "ADD", feeds={2: (1,), 3: (2, 3)}))
    assert found.mapped == (0, 2)
    assert found.cpu == {"ABS": 1, "ADD": 1}
