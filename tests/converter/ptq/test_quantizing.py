"""What the step makes, asked directly: in the command it runs in a child."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral_converter import check, quantizing
from littoral_converter.guarding import Limit
from littoral_converter.ptq import effort, observe
from littoral_converter.ptq import mixed as mixing
from littoral_converter.quantizing import Guarded, Job, Kind, Quantized
from littoral_converter.worker import Progress

Floats = NDArray[np.float32]


@pytest.fixture
def job(tiny: bytes, digits: Floats, tmp_path: Path) -> Any:
    (tmp_path / "float.tflite").write_bytes(tiny)
    np.save(tmp_path / "calibration.npy", digits[:60])
    np.save(tmp_path / "samples.npy", digits[400:900])
    np.save(tmp_path / "answers.npy", observe.answers(tiny, digits[400:900]))

    def made(*, min_agreement: float | None = None, **changed: Any) -> Job:
        mixed = None
        if min_agreement is not None:
            limit = Limit(max_drop=1, min_agreement=min_agreement)
            names = (tmp_path / name for name in ("samples.npy", "answers.npy"))
            samples, answers = names
            mixed = Guarded(samples=samples, answers=answers, truth=None, limit=limit)
        return Job(
            model=tmp_path / "float.tflite",
            out=tmp_path / "out.tflite",
            calibration=tmp_path / "calibration.npy",
            mixed=mixed,
            **changed,
        )

    return made


def run(job: Job) -> tuple[Quantized, bytes]:
    return quantizing.run(job, say=lambda _: None), job.out.read_bytes()


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("int8", {"int8"}),
        ("int16x8", {"int16"}),
        ("dynamic", {"float32"}),
        ("float16", {"float32"}),
        ("weights", {"float32"}),
    ],
)
def test_each_kind_runs_and_is_what_it_says(job: Any, kind: Kind, types: set[str]) -> None:
    found, model = run(job(kind=kind))
    assert found.kind == kind
    assert found.floats == (kind in {"dynamic", "float16", "weights"})
    assert check.read(model).fully_integer != found.floats
    assert ends(model) == types
    assert run(job(kind=kind))[1] == model


def test_while_the_limit_holds_nothing_is_given_back(job: Any) -> None:
    found, model = run(job(min_agreement=0.9))
    assert found.mixed == ()
    assert check.read(model).fully_integer


def test_floats_are_given_back_until_the_limit_holds(job: Any) -> None:
    plain = run(job(steps=()))[1]
    found, model = run(job(steps=(), io="uint8", min_agreement=0.999))
    points = found.mixed
    assert points[0].given == ()
    assert (points[0].bytes, points[0].standing.agreement) < (len(plain) + 1, 0.999)
    assert all((p.standing.agreement or 0) < 0.999 for p in points[:-1])
    assert (points[-1].standing.agreement or 0) >= 0.999
    assert all(len(p.given) == 1 and p.given[0].operator for p in points[1:])
    assert not check.read(model).fully_integer
    assert found.floats
    assert ends(model) == {"uint8"}


def test_what_cannot_be_reached_leaves_the_integers(
    job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "_PRODUCTS", 0)  # in a few steps
    monkeypatch.setattr(mixing, "_POINTS", 4)
    # More than all of the answers: no model can do that.
    found, model = run(job(steps=(), min_agreement=1.01))
    assert found.mixed == ()
    assert model == run(job(steps=()))[1]


def test_how_far_it_is_is_told(job: Any) -> None:
    said: list[Progress] = []
    quantizing.run(job(), say=said.append)
    rounding = [p for p in said if p.stage == "quantizing: rounding" and p.of]
    assert [p.done for p in rounding] == sorted(p.done for p in rounding)
    assert rounding[-1].done < rounding[-1].of


def ends(model: bytes) -> set[str]:
    """Return of which types the model's input and output are."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model)
    details = (*interpreter.get_input_details(), *interpreter.get_output_details())
    return {np.dtype(d["dtype"]).name for d in details}
