"""What the page makes of a report that has everything in it."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest

from converter.conftest import Converted
from littoral import records
from littoral_converter import report
from littoral_converter.compress.lessons import Score
from littoral_converter.compress.standing import Standing
from littoral_converter.compress.steps import Compressed, Done
from littoral_converter.compressing import Compression
from littoral_converter.edgetpu.mapping import Mapping
from littoral_converter.edgetpu.target import EdgeTpu
from littoral_converter.evidence import worst
from littoral_converter.evidence.nodes import Node
from littoral_converter.evidence.worst import Worst
from littoral_converter.guarding import Standing as Held
from littoral_converter.quantizing import Given, Mixed, Quantized
from littoral_converter.report import Report
from littoral_converter.targets.exports import Export, Exported


@pytest.fixture(scope="module")
def plain(digits: Converted) -> Report:
    return records.fill(Report, json.loads((digits.bundle / "report.json").read_text()))


def page(found: Report, shown: tuple[str, ...] = ()) -> str:
    return report.render(
        found, int8_cpu_us=[1.0, 2.0, 3.0], float_cpu_us=[2.0, 3.0, 4.0], shown=shown
    ).decode()


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("<main>")[2]))


def test_each_layer_of_the_model_has_its_bar_and_its_histogram(plain: Report) -> None:
    assert plain.tensors is not None
    html = page(plain)
    layers, weights = plain.tensors.layers, plain.tensors.weights
    assert len(layers) == 6
    assert len(weights) == 3
    drawn = html.partition('<svg class="errors"')[2].partition("</svg>")[0]
    assert drawn.count("<rect") == len(layers)
    assert drawn.count('class="left"') == 1  # the worst stands out
    assert html.count('<svg class="histogram"') == len(layers) + len(weights)
    for layer in layers:
        assert sum(layer.counts) == plain.tensors.samples * int(np.prod(layer.shape))


def test_the_worst_samples_are_shown_with_what_both_said(plain: Report) -> None:
    picture = worst.show(np.zeros((8, 8, 1), np.float32))
    one = Worst(sample=41, apart=0.25, a=3, b=8, true=3)
    html = page(dataclasses.replace(plain, worst=(one,)), (picture,))
    card = html.partition('<ul class="cards">')[2].partition("</ul>")[0]
    assert card.count("<img ") == 1
    assert re.findall(r"<dd[^>]*>([^<]+)</dd>", card) == ["41", "three", "three", "eight", "0.25"]
    assert '<dd class="down">eight</dd>' in card


def test_what_floats_buy_is_a_curve_and_a_table(plain: Report) -> None:
    def point(agreement: float, *given: Given) -> Mixed:
        held = Held(samples=360, agreement=agreement, accuracy=0.9, float_accuracy=0.95)
        return Mixed(given=given, bytes=9000, cpu_us=12.5, standing=held)

    conv = Given(output="a", operator="CONV_2D", weights="float")
    mixed = (point(0.95), point(0.98, conv))
    shown = page(dataclasses.replace(plain, quantized=Quantized(mixed=mixed)))
    assert "What floats buy" in shown
    assert "this release" in shown
    assert "CONV_2D and weights" in text(shown)
    assert "98.0 %" in shown
    assert "What floats buy" not in page(plain)


def test_an_edge_tpus_share_is_drawn_on_the_graph(plain: Report) -> None:
    nodes = (
        Node(operator="CONV_2D", output="a", shape=(1, 8), inputs=(), floats=False),
        Node(
            operator="GELU",
            output="b",
            shape=(1, 8),
            inputs=(0,),
            floats=False,
            left="unknown <to> it",
        ),
    )
    tpu = EdgeTpu(
        mapping=Mapping(
            source="predicted", mapped=1, cpu={"GELU": 1}, reasons={"GELU": ("unknown",)}
        )
    )
    html = page(dataclasses.replace(plain, graph=nodes, edgetpu=tpu))
    drawn = html.partition('<svg class="graph"')[2].partition("</svg>")[0]
    assert re.findall(r'<g class="(\w+)">', drawn) == ["done", "left"]
    assert "unknown &lt;to&gt; it" in drawn
    assert "on the Edge TPU" in html


def test_steps_of_compressing_and_exports_are_told(plain: Report) -> None:
    def standing(accuracy: float, sparsity: float) -> Standing:
        return Standing(
            score=Score(loss=None, accuracy=accuracy), weights=100, sparsity=sparsity, unique=16,
            bytes=400, zstd_bytes=300, int8_bytes=100, int8_zstd_bytes=80,
        )  # fmt: skip

    done = Done(
        step="prune", epochs=3, learning_rate=0.001, seconds=1.5, before=standing(0.97, 0.0),
        after=standing(0.96, 0.8), layers=(), losses=(0.1,),
    )  # fmt: skip
    found = Compressed(model="m", samples=100, judged=20, steps=(done,), software={})
    export = Export(
        target="serving",
        use="tensorflow_model_server …",
        likeness=None,
        files=(Exported(path="serving/1/saved_model.pb", bytes=2048, sha256="0" * 64),),
    )
    html = page(
        dataclasses.replace(
            plain,
            compression=Compression(name="train.npz", sha256="0" * 64, found=found),
            exports=(export,),
        )
    )
    words = text(html)
    assert "prune 3 epochs - 96.0 % 80.0 % 16 80 B 1.5 s" in words
    assert "serving 1 file 2.0 KiB - - - -" in words


def test_a_large_model_makes_no_large_page(plain: Report) -> None:
    assert plain.tensors is not None
    layers = plain.tensors.layers * 70
    node: dict[str, Any] = {"operator": "CONV_2D", "output": "x" * 80, "shape": (1, 7, 7, 512)}
    nodes = tuple(Node(inputs=(k - 1,) if k else (), floats=False, **node) for k in range(600))
    picture = worst.show(np.random.default_rng(0).random((224, 224, 3), dtype=np.float32))
    far = tuple(Worst(sample=k, apart=0.1, a=1, b=2, true=1) for k in range(10))
    large = dataclasses.replace(
        plain,
        tensors=dataclasses.replace(plain.tensors, layers=layers),
        graph=nodes,
        worst=far,
    )
    html = page(large, (picture,) * 10)
    assert len(html) < 2_000_000
    assert '<svg class="graph"' not in html  # nobody would find anything in it
    drawn = dataclasses.replace(large, graph=nodes[:400])
    assert '<svg class="graph"' in page(drawn)
