"""What it costs a request that its answer is counted for drift, and what counting costs later.

A request leaves its outputs, which is on its way; 128 of them are counted at a time between two
requests. CPU time, the least of many: what another program took away is nobody's figure.
"""

import json
import math
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from littoral.bundle.baseline import Baseline, Confidence, Distribution
from littoral.bundle.manifest import Tensor
from littoral_serve.running.answers import Answers, counting

BLOCK: Final = 127  # outputs: one more, and they would be counted at once
ROUNDS: Final = 2000
MOST_US: Final = 1.0
CLASSES: Final = (12, 1001)


def ranking(classes: int) -> Answers:
    """Return what counts the answers of a model that ranks so many classes, as integers."""
    output = Tensor(
        name="y", shape=(1, classes), dtype="uint8", layout=None, scale=1 / 256, zero_point=0
    )
    edges = tuple(np.linspace(0, 1, 21).tolist())
    found = counting(
        Baseline(
            format=1,
            source="evaluation",
            samples=1000,
            outputs=(Distribution(name="y", mean=0.1, std=0.2, quantiles={}),),
            answered=(1,) * classes,
            confidence=Confidence(edges=edges, counts=(50,) * 20, mean=0.9),
        ),
        (output,),
    )
    assert found is not None
    return found


def cost_us(classes: int) -> tuple[float, float]:
    """Return what one answer takes on its request's way, and then to be counted."""
    answers = ranking(classes)
    rng = np.random.default_rng(0)
    outputs = [(one,) for one in rng.integers(0, 256, (BLOCK, 1, classes)).astype(np.uint8)]
    left = counted = empty = math.inf
    for _ in range(ROUNDS):
        begun = time.process_time_ns()
        for one in outputs:
            answers.add(one)
        left = min(left, time.process_time_ns() - begun)
        begun = time.process_time_ns()
        answers.close()
        counted = min(counted, time.process_time_ns() - begun)
        begun = time.process_time_ns()
        for _one in outputs:
            pass
        empty = min(empty, time.process_time_ns() - begun)
    return (left - empty) / BLOCK / 1000, counted / BLOCK / 1000


def rows() -> Iterator[dict[str, Any]]:
    for classes in CLASSES:
        left, counted = cost_us(classes)
        what = f"{classes} classes: an answer, on its request's way"
        yield {"what": what, "value": left, "unit": "µs", "most": MOST_US}
        yield {"what": f"{classes} classes: … counted later", "value": counted, "unit": "µs"}


if __name__ == "__main__":
    print(json.dumps({"rows": list(rows())}))
