from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral_converter.ptq import effort, mixed
from littoral_converter.ptq.quantize import Quantized, quantize


@pytest.fixture(scope="module")
def done(tiny: bytes, digits: NDArray[np.float32]) -> Quantized:
    return quantize(tiny, digits[:60], steps=())


def test_step_by_step_the_answers_come_nearer_and_the_file_grows(done: Quantized) -> None:
    points = list(done.mixer.curve())
    assert points[0].model == done.model
    assert points[0].taken == ()
    assert points[-1].verdict.snr_db > points[0].verdict.snr_db + 3
    assert len(points[-1].model) > len(points[0].model)
    assert len(points) == done.mixer.length + 1
    assert points[-1].model == done.mixer.last.model
    steps = [(t.op, t.precision) for p in points for t in p.taken]
    assert len(set(steps)) == len(steps)
    given = [precision for _, precision in steps]
    last = len(given) - 1 - given[::-1].index("widened")
    assert last < len(given) - given.count("widened"), "weights come back last"


def test_the_curve_is_the_same_each_time(done: Quantized) -> None:
    first, again = (
        [(p.taken, p.verdict.loss) for p in islice(done.mixer.curve(), 4)] for _ in range(2)
    )
    assert first == again


def test_a_large_network_is_walked_in_few_points(
    done: Quantized, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "_PRODUCTS", 0)
    monkeypatch.setattr(mixed, "_POINTS", 8)
    points = list(done.mixer.curve())
    assert len(points) <= 12
    assert len(points[1].taken) == -(-done.mixer.length // 8)
    assert points[-1].verdict.snr_db > points[0].verdict.snr_db + 3
    assert sum(len(p.taken) for p in points) == done.mixer.length
