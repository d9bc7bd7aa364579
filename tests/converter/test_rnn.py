"""Recurrent layers as `build` treats them: real models, real converters."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from littoral_converter import build, check, litert, source
from littoral_converter.build import Built
from littoral_converter.importers import fusing, program
from littoral_converter.litert import Ran
from littoral_converter.quantizing import INT8
from littoral_converter.recipe import Limits, Quantize, Recipe
from littoral_converter.workshop import Workshop

if find_spec("tf_keras") is None:
    pytest.skip("the packages of without-dependencies.txt are missing", allow_module_level=True)

Make = Callable[..., tuple[Built, Workshop]]


@pytest.fixture
def make(models: Path, tmp_path: Path) -> Make:
    def make(name: str, recipe: Recipe | None = None) -> tuple[Built, Workshop]:
        shop = Workshop(folder=tmp_path, limits=Limits(), say=lambda _: None)
        samples = np.load(models / "series.npy")
        at = shop.keep("samples.npy", samples)
        found = source.detect(models / f"{name}.keras")
        wanted = recipe or Recipe(quantize=Quantize(steps=("ranges",)))
        built = build.build(shop, found, samples, at, recipe=wanted, targets=("cpu",))
        return built, shop

    return make


def differs(shop: Workshop) -> float:
    """Return how far INT8 lies from Keras's own answers, at most."""
    answers = shop.folder / "int8-answers.npy"
    job = litert.Run(
        model=shop.folder / INT8, samples=shop.folder / "samples.npy", answers=answers, stage="run"
    )
    (output,) = shop.do("run", job, Ran, name="run").outputs
    found = np.load(answers).astype(np.float32)
    real = (found - output.zero_point) * output.scale if output.scale else found
    return float(np.abs(real - np.load(shop.folder / program.ANSWERS)).max())


def test_an_lstm_becomes_one_operator_of_integers(make: Make) -> None:
    built, shop = make("lstm")
    assert built.program.loops.way == "fused"
    assert built.program.fuse is None
    graph = check.read((shop.folder / INT8).read_bytes())
    assert graph.counts[fusing.OPERATOR] == 1
    assert graph.fully_integer
    assert differs(shop) < 0.02
    assert built.program.software.keys() >= {"keras", "tf_keras", "tensorflow"}


def test_what_cannot_be_fused_is_unrolled(make: Make) -> None:
    built, shop = make("unfusable")
    assert built.program.loops.way == "unrolled"
    graph = check.read((shop.folder / INT8).read_bytes())
    assert graph.counts["FULLY_CONNECTED"] > 12  # one a step, at least
    assert differs(shop) < 0.02
    assert built.program.layers["LSTM"] == 1
    (note,) = built.program.notes
    assert "written out step by step" in note
    assert "(RMSNormalization): tf-keras has no such layer" in note


def test_without_tf_keras_it_is_said_what_to_install(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "find_spec", lambda _: None)
    (note,) = make("lstm")[0].program.notes
    assert "tf-keras is not installed: pip install --no-deps -r" in note


def test_loops_that_stay_have_small_weights_where_floats_are_accepted(make: Make) -> None:
    built, shop = make("masked", Recipe(quantize=Quantize(allow_float=True)))
    assert built.program.loops.way == "loops"
    assert built.quantized.kind == "dynamic"
    assert "masks steps" in built.quantized.loops.why
    assert check.read((shop.folder / INT8).read_bytes()).counts["WHILE"] > 0
    assert differs(shop) < 0.01
