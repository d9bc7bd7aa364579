"""What a device gives for its models: how soon serve is ready, what both processes hold.

Ready: ``python -m littoral_serve`` on a device's folder with MobileNet 0.25 as its release, from
the start until its listeners are open and the model is warm, beside a Python that imports LiteRT
and nothing else; by turns, and told is the median of the ratios. Besides, without a fleet: the
same model by ``--model``, whose labels are in an archive of its own. Memory: resident, of agent
and serve as ``littoral run`` starts them, with MobileNet 0.25 from a release and the broker's TLS
connection up; before, and after frames, binary tensors and TensorFlow Serving's JSON at full
speed by turns. ``make peers`` makes the environment of a device, in which all of it runs:
libraries load what else they find.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from littoral_console.broker import program as broker
from load.caller import NoCompilerError, caller
from load.caller import program as compiled
from load.device import DEVICE, MODEL, World, on_disk, world
from serving import MODELS, VENVS, Request, Tensor, tensor_of
from simulators.console import until
from simulators.served import Device

MOBILENET: Final = MODELS["49 kB"]
PYTHON: Final = VENVS / "device/bin/python"
BARE: Final = "import ai_edge_litert.interpreter; print()"
STARTS: Final = ("LiteRT", "serve", "serve --model")
MOST_TIMES: Final = 2.1
MOST_MIB: Final = {"serve": 60.0, "agent": 48.0}
MOST_TOGETHER_MIB: Final = 108.0
MOST_GROWTH_MIB: Final = 5.0
WAYS: Final[dict[str, Request]] = {
    "frames": Tensor.frame,
    "binary": lambda tensor: tensor.open_inference(binary=True),
    "JSON": Tensor.tensorflow,
}
Row = dict[str, Any]


def until_said_ms(*words: str) -> float:
    """Return how long it takes from the start of a process until its first line."""
    begun = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = (time.perf_counter() - begun) * 1000
        process.terminate()
    assert line, words
    return took


def starts(turns: int, python: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        device, data = Device(Path(folder)), MOBILENET.read_bytes()
        device.good(device.add(MODEL, data=data, golden_of=data))
        serve = (python, "-m", "littoral_serve", "--http=127.0.0.1:0", "--json")
        ways = (
            (python, "-c", BARE),
            (*serve, f"--data={folder}"),
            (*serve, f"--model={MODEL}={MOBILENET}"),
        )
        took = [[until_said_ms(*way) for way in ways] for _ in range(turns + 1)][1:]
    for name, one in zip(STARTS, zip(*took, strict=True), strict=True):
        yield {"what": f"{name}, ready", "value": statistics.median(one), "unit": "ms"}
    for n, most in ((1, {"most": MOST_TIMES}), (2, {})):
        times = statistics.median(turn[n] / turn[0] for turn in took)
        what = f"{STARTS[n]}, over LiteRT's import"
        yield {"what": what, "value": times, "unit": "x", **most}


def memory(seconds: float, python: str) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=on_disk())))
        found = stack.enter_context(world(folder, [MOBILENET.read_bytes()], python=python))
        rollout = found.console.push(f"{MODEL}:1")
        until(lambda: _healthy(found, rollout), "healthy", limit_s=60)
        channel = found.console.device(DEVICE)["device"]["channel"]
        assert channel == "mqtt", channel
        callers = [stack.enter_context(one) for one in _callers(found, folder)]
        for one in callers:
            one.call(seconds=seconds / 20)
        before, asked = resident(found), 0
        for _ in range(5):
            for one in callers:
                got = one.call(seconds=seconds / 5 / len(callers), connections=4)
                assert not got.errors, got
                asked += got.count
        after = resident(found)
    for name, most in MOST_MIB.items():
        yield {"what": f"{name}, resident", "value": before[name], "unit": "MiB", "most": most}
    together = sum(before.values())
    yield {"what": "both, resident", "value": together, "unit": "MiB", "most": MOST_TOGETHER_MIB}
    yield {"what": "requests then", "value": asked, "unit": ""}
    for name, held in after.items():
        grown = {"what": f"{name}, more than before", "value": held - before[name], "unit": "MiB"}
        yield grown | {"most": MOST_GROWTH_MIB}


def resident(found: World) -> dict[str, float]:
    """Return what each of both processes holds, in MiB."""
    held = {}
    for name, pid in sorted(found.pids().items()):
        told = Path(f"/proc/{pid}/status").read_text()
        held[name] = int(told.partition("VmRSS:")[2].split()[0]) / 1024
    return held


def _healthy(found: World, rollout: int) -> bool:
    return bool(found.console.outcome(rollout, DEVICE)["outcome"] == "healthy")


def _callers(found: World, folder: Path) -> Iterator[Any]:
    tensor = tensor_of(MOBILENET)
    for way, make in WAYS.items():
        request = folder / f"{way}.request"
        request.write_bytes(make(tensor))
        kind: Any = "frame" if way == "frames" else "http"
        local = f"unix:{found.tree / 'run/serve.sock'}"
        yield caller(kind, local if way == "frames" else found.ready["http"], request)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--turns", type=int, default=15)
    words.add_argument("--seconds", type=float, default=60.0, help="of requests")
    words.add_argument("--python", default=str(PYTHON), help="of the device")
    asked = words.parse_args()
    if missing := _missing(asked.python):
        print(json.dumps({"skipped": missing}))
        return 0
    rows = [*starts(asked.turns, asked.python), *memory(asked.seconds, asked.python)]
    print(json.dumps({"rows": rows}))
    return 0


def _missing(python: str) -> str | None:
    if not MOBILENET.is_file():
        return "the shared models are not here"
    if not Path(python).exists():
        return "a device's environment is not here: make peers"
    if broker() is None:
        return "mosquitto is not installed"
    try:
        compiled()
    except NoCompilerError as e:
        return str(e)
    return None


if __name__ == "__main__":
    sys.exit(main())
