"""What the Open Inference Protocol tells of a release: batches, layouts, figures."""

from typing import Any

import pytest

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral_serve.protocols import oip_about
from simulators.loaded import loaded

US = 1000  # in ns


class Session:
    """One that is never run."""

    def __init__(self, *inputs: Tensor, outputs: tuple[Tensor, ...] = ()) -> None:
        self.inputs, self.outputs = inputs, outputs or inputs

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        raise AssertionError(f"{len(inputs)} inputs came")


def tensor(*shape: int, **said: Any) -> Tensor:
    return Tensor(name="x", shape=shape, dtype="float32", **said)


def test_a_model_that_takes_no_batches_says_so() -> None:
    alone = loaded(Session(tensor(3, 4), outputs=(tensor(7),)))
    told = oip_about.configuration(alone)
    assert told["max_batch_size"] == 0
    assert told["input"][0]["dims"] == [3, 4]
    assert oip_about.model(alone)["inputs"][0]["shape"] == [3, 4]
    many = oip_about.configuration(loaded(Session(tensor(2000, 4))))
    assert many["max_batch_size"] == 2000
    assert many["input"][0]["dims"] == [4]


@pytest.mark.parametrize(
    ("layout", "word"), [("NHWC", "FORMAT_NHWC"), ("NCHW", "FORMAT_NCHW"), (None, "FORMAT_NONE")]
)
def test_what_the_dimensions_of_a_picture_are_is_told(layout: Any, word: str) -> None:
    told = oip_about.configuration(loaded(Session(tensor(1, 8, 8, 3, layout=layout))))
    assert told["input"][0]["format"] == word


def test_before_anybody_asked_there_are_no_figures_of_batches() -> None:
    (told,) = oip_about.statistics([loaded(Session(tensor(1, 4)))])["model_stats"]
    assert (told["execution_count"], told["batch_stats"]) == (0, [])


def test_figures_are_in_nanoseconds_by_stage() -> None:
    live = loaded(Session(tensor(4, 4)), size=4)
    live.meter.invoked(500 * US)
    live.meter.answered(queue=100 * US, preprocess=20 * US, postprocess=3 * US, instances=3)
    live.meter.failed()
    (told,) = oip_about.statistics([live])["model_stats"]
    figures = told["inference_stats"]
    took = {name: round(figures[name]["ns"], -3) for name in figures}
    assert took == {
        "success": 623 * US,
        "fail": 0,
        "queue": 100 * US,
        "compute_input": 20 * US,
        "compute_infer": 500 * US,
        "compute_output": 3 * US,
        "cache_hit": 0,
        "cache_miss": 0,
    }
    assert (figures["success"]["count"], figures["fail"]["count"]) == (1, 1)
    assert (told["inference_count"], told["execution_count"]) == (3, 1)
    (batch,) = told["batch_stats"]
    assert (batch["batch_size"], batch["compute_infer"]["count"]) == (4, 1)
