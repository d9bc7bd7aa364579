"""The graph that a report keeps and draws, of real files."""

import re
from pathlib import Path

import pytest

from littoral_converter import graph
from littoral_converter.evidence import drawing, nodes
from littoral_converter.evidence.nodes import Node

SHARED = Path(__file__).parents[4] / "shared"
CORAL = SHARED / "models" / "coral"
needs_coral = pytest.mark.skipif(not CORAL.is_dir(), reason="the shared models are not here")


def read(name: str) -> graph.Graph:
    return graph.read((CORAL / name).read_bytes())


@needs_coral
@pytest.mark.parametrize(
    ("name", "on_cpu"),
    [("deeplabv3_mnv2_dm05_pascal_quant", 8), ("movenet_single_pose_lightning_ptq", 59)],
)
def test_what_a_compiler_left_is_told_operator_by_operator(name: str, on_cpu: int) -> None:
    model, compiled = read(f"{name}.tflite"), read(f"{name}_edgetpu.tflite")
    found = nodes.of(model, edgetpu=True, compiled=compiled)
    left = [node for node in found if node.left is not None]
    assert len(left) == on_cpu
    assert all(node.left for node in left)
    assert {node.left for node in nodes.of(model, edgetpu=False)} == {None}


@needs_coral
def test_each_operator_is_drawn_once_with_what_flows_into_it() -> None:
    found = nodes.of(read("deeplabv3_mnv2_dm05_pascal_quant.tflite"), edgetpu=True)
    svg = drawing.graph(found, edgetpu=True)
    assert svg.count("<rect") == len(found) == 72
    assert svg.count("<path") == sum(len(node.inputs) for node in found) > 72
    corners = re.findall(r'<rect x="(\d+)" y="(\d+)"', svg)
    assert len(set(corners)) == len(corners)  # none over another
    assert svg.count('class="left"') == sum(node.left is not None for node in found)


@needs_coral
def test_what_works_on_constants_alone_is_no_node() -> None:
    """Weights that are made floats again: a DEQUANTIZE each, through which nothing flows."""
    model = read("tf2_mobilenet_v2_1.0_224_ptq.tflite")
    assert len(nodes.of(model, edgetpu=False)) == len(model.main.operators)
    kws = (SHARED / "models/mlperf_tiny/kws_ref_model_float32.tflite").read_bytes()
    found = nodes.of(graph.read(kws), edgetpu=False)
    assert all(node.inputs or k == 0 for k, node in enumerate(found))


def test_a_strangers_names_are_shown_and_never_run() -> None:
    evil = '<script>"&'
    one = Node(operator=evil, output=evil, shape=(1,), inputs=(), floats=False, left=evil)
    svg = drawing.graph((one,), edgetpu=True)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_a_graph_that_nobody_could_find_anything_in_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = graph.read((Path(__file__).parents[2] / "fixtures/tiny_float.tflite").read_bytes())
    assert nodes.of(tiny, edgetpu=False)
    monkeypatch.setattr(nodes, "MOST", 2)
    assert nodes.of(tiny, edgetpu=False) == ()


def test_histograms_are_small_and_of_equal_width() -> None:
    svg = drawing.histogram((0, 4, 100, 2), (1, 1, 1, 1))
    assert svg.count("h1") == 6
    assert len(svg) < 400
    assert drawing.histogram((0, 0)).count("16.0") == 2
