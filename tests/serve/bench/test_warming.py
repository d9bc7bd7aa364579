"""When a model is warm."""

from collections.abc import Iterator

import numpy as np

from littoral_serve.bench import warming
from littoral_serve.bench.scenarios import Times


def times(us: float) -> Times:
    ns = np.full(5, us * 1e3, np.int64)
    return Times(due=ns, latency=ns, elapsed_ns=100_000_000)


def test_a_model_is_warm_when_five_blocks_are_alike() -> None:
    medians: Iterator[float] = iter([900, 400, 210, 202, 201, 200, 203, 1, 1])
    found = warming.warm(lambda: times(next(medians)))
    assert found.stable
    assert found.count == 7 * 5
    assert found.p50 == 203


def test_a_model_that_never_settles_is_measured_after_a_while_and_it_is_said() -> None:
    medians = iter(range(100, 100_000, 100))
    found = warming.warm(lambda: times(next(medians)), most_s=2.0)
    assert not found.stable
    assert 2.0 <= found.seconds < 2.2
