"""Ten million requests at full speed: does serve grow?

    .venv/bin/python benchmarks/load/soak.py [--requests 10000000]

By turns of a second, frames, binary tensors over HTTP and TensorFlow Serving's JSON, each on four
connections, to a model of microseconds. Prints one JSON object; exits 1 where an answer was none,
where serve grew by more than is promised, or where it has more files open than before.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from load.caller import caller
from serving import SERVERS, Running, Tensor, tensor_of

ROOT: Final = Path(__file__).parents[2]
MODEL: Final = ROOT / "tests/fixtures/tiny_int8.tflite"
MOST_BYTES: Final = 5 * 2**20
_SETTLED: Final = 0.05  # of all requests, after which its memory is what it is


def soak(requests: int) -> dict[str, Any]:
    """Return what was asked, and what serve took for it."""
    serve = next(one for one in SERVERS if one.name == "serve")
    ways = {"frames": Tensor.frame, **serve.asked}
    ways.pop("JSON")
    done, errors, first = 0, 0, 0
    told: list[tuple[int, int]] = []
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        running = Running(serve, MODEL, stack)
        local = f"unix:{running.folder / 'data/run/serve.sock'}"
        tensor = tensor_of(MODEL)
        asked = []
        for way, make in ways.items():
            request = running.folder / f"{way}.request"
            request.write_bytes(make(tensor))
            kind: Any = "frame" if way == "frames" else "http"
            address = local if way == "frames" else running.address
            asked.append(stack.enter_context(caller(kind, address, request)))
        while not asked[0].call(seconds=1, count=1).count:
            time.sleep(0.1)
        files = _open_files(running)
        while done < requests:
            for one in asked:
                got = one.call(seconds=1, connections=4)
                done, errors = done + got.count, errors + got.errors
            told.append((done, running.resident()))
            if not first and done >= requests * _SETTLED:
                first = running.resident()
        last, left = running.resident(), _open_files(running) - files
    return {
        "requests": done,
        "errors": errors,
        "seconds": round(time.monotonic() - begun),
        "first_bytes": first,
        "last_bytes": last,
        "descriptors_more": left,
        "memory": told[:: max(1, len(told) // 20)],
        "kept": errors == 0 and left <= 0 and last - first <= MOST_BYTES,
    }


def _open_files(running: Running) -> int:
    time.sleep(1)  # until it has seen that those who asked last have gone
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--requests", type=int, default=10_000_000)
    found = soak(words.parse_args().requests)
    print(json.dumps(found))
    return 0 if found["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
