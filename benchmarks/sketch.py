"""The latency sketch: what a record costs, how large it travels, how true it stays.

Latencies are lognormal around 2 ms with one in a hundred far out, as devices have them. Times
are CPU time, the least of several rounds: what another program took away is nobody's figure.
"""

import json
import math
import random
import time
from collections.abc import Callable

from littoral.wire.sketch import Sketch

SAMPLES, PARTS, ROUNDS = 100_000, 100, 7
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def latencies() -> list[float]:
    rng = random.Random(0)
    body = (rng.lognormvariate(math.log(2000), 0.25) for _ in range(SAMPLES))
    return [value * rng.uniform(3, 40) if rng.random() < 0.01 else value for value in body]


def plain() -> list[float]:
    rng = random.Random(1)
    return [rng.lognormvariate(math.log(2000), 0.25) for _ in range(1000)]


def sketch_of(values: list[float]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.record(value)
    return sketch


def least_us(deed: Callable[[], object], *, times: int) -> float:
    """Return the CPU time in µs of one of ``times`` that ``deed`` does."""
    best = math.inf
    for _ in range(ROUNDS):
        started = time.process_time_ns()
        deed()
        best = min(best, time.process_time_ns() - started)
    return best / times / 1000


def record_us(values: list[float]) -> float:
    def loop() -> None:
        for _ in values:
            pass

    full = least_us(lambda: sketch_of(values), times=len(values))
    return full - least_us(loop, times=len(values))


def worst_error(merged: Sketch, values: list[float]) -> float:
    values = sorted(values)
    exact = {q: values[max(1, math.ceil(q * len(values))) - 1] for q in QUANTILES}
    return max(abs(merged.quantile(q) - value) / value for q, value in exact.items())


def rows() -> list[dict[str, object]]:
    values = latencies()
    parts = [sketch_of(values[i::PARTS]) for i in range(PARTS)]
    encoded = [part.encode() for part in parts]

    def merge() -> Sketch:
        merged = Sketch()
        for part in parts:
            merged.merge(part)
        return merged

    return [
        {"what": "record", "value": record_us(values), "unit": "µs", "most": 0.2},
        {
            "what": "bytes of 1,000 samples",
            "value": len(sketch_of(plain()).encode()),
            "unit": "B",
            "most": 150,
        },
        {
            "what": f"worst error of p50 to p99.9 after {PARTS} merges",
            "value": 100 * worst_error(merge(), values),
            "unit": "%",
            "most": 1.1,
        },
        {"what": "merge", "value": least_us(merge, times=PARTS), "unit": "µs"},
        {
            "what": "encode",
            "value": least_us(lambda: [part.encode() for part in parts], times=PARTS),
            "unit": "µs",
        },
        {
            "what": "decode",
            "value": least_us(lambda: [Sketch.decode(data) for data in encoded], times=PARTS),
            "unit": "µs",
        },
    ]


if __name__ == "__main__":
    print(json.dumps({"rows": rows()}))
