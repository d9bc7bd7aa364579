from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral_converter.ptq.quantize import Quantized, quantize

pytest.importorskip("ai_edge_quantizer")


@pytest.fixture(scope="module")
def done(tiny: bytes, digits: NDArray[np.float32]) -> Quantized:
    return quantize(tiny, digits[:60], steps=())


def test_step_by_step_the_answers_come_nearer_and_the_file_grows(done: Quantized) -> None:
    points = list(done.mixer.curve())
    assert points[0].model == done.model
    assert points[0].op is None
    assert points[-1].verdict.snr_db > points[0].verdict.snr_db + 3
    assert len(points[-1].model) > len(points[0].model)
    widened = [p for p in points if p.precision == "widened"]
    assert points.index(widened[-1]) < len(points) - len(widened), "weights come back last"
    steps = [(p.op, p.precision) for p in points]
    assert len(set(steps)) == len(steps)


def test_the_curve_is_the_same_each_time(done: Quantized) -> None:
    first, again = (
        [(p.op, p.precision, p.verdict.loss) for p in islice(done.mixer.curve(), 4)]
        for _ in range(2)
    )
    assert first == again
