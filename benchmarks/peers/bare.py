"""No server at all: the model alone. Answers each line, a count, with what that many took."""

import sys
import time

import numpy as np

from peers.engine import Engine

engine = Engine()
x = np.zeros(engine.shape, engine.dtype)
print("ready", flush=True)
for line in sys.stdin:
    took, begun = [], time.process_time()
    for _ in range(int(line)):
        start = time.perf_counter_ns()
        engine.run(x)
        took.append((time.perf_counter_ns() - start) / 1e3)
    cpu = (time.process_time() - begun) / len(took) * 1e6
    took.sort()
    print(took[0], took[len(took) // 2], cpu, flush=True)
