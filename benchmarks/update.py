"""An update of a model of 5 MB on loopback, from push to serving: how long, how many bytes.

Console, broker, agent and serve are processes of their own, as ``littoral run`` starts them; the
model is a real one (``pairs/training.py``). The same drift of 5 % comes plain, as zstd and as a
patch. It serves when serve answers by the new release; how long it is watched then is the
operator's choice. Bodies are those that the console sent to its device, of whatever request; disk
writes are what the kernel counted of agent and serve, children included.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from load.device import DEVICE, MODEL, World, on_disk, world
from pairs.trained import SHAPES, trained
from simulators.console import ConsoleProcess, until

FIXTURES = Path(__file__).parents[1] / "tests/fixtures"
TINY = "tiny"  # which needs no training
KINDS = {"plain": ("--no-encodings",), "zstd": ("--patches", "0"), "patch": ()}
AFTER_S = 2.0  # what is still said and written once it serves
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Releases:
    base: bytes
    file: bytes


def releases(shape: str) -> Releases:
    """Return a model and its successor, trained if they are not there."""
    if shape == TINY:  # what follows a model is not read
        weights = random.Random(1).randbytes(200_000)
        base, file = ((FIXTURES / f"tiny_int8{b}.tflite").read_bytes() for b in ("", "_b"))
        return Releases(base + weights, file + weights)
    folder = trained(shape)
    return Releases(
        (folder / "base.tflite").read_bytes(), (folder / "drift-05.tflite").read_bytes()
    )


def measured(kind: str, models: Releases) -> Iterator[Row]:
    """Walk what one update of that kind costs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=on_disk())))
        files = (models.base, models.file)
        found = stack.enter_context(world(folder, files, words=KINDS[kind]))
        console, rest = found.console, found.console.rest
        first = console.push(f"{MODEL}:1")
        until(lambda: console.outcome(first, DEVICE)["outcome"] == "healthy", "1", limit_s=60)
        manifest = _manifest_bytes(console)
        time.sleep(AFTER_S)  # what release 1 still has to say and write
        sent, written = console.metrics()["devices_sent_bytes_total"], _written(found)
        begun, begun_ms = time.monotonic(), time.time() * 1000
        console.push(f"{MODEL}:2")
        until(lambda: _serves(found, 2), "2", limit_s=60)
        seconds = time.monotonic() - begun
        time.sleep(AFTER_S)
        sent = console.metrics()["devices_sent_bytes_total"] - sent
        written = _written(found) - written
        steps = {
            one["event"]: one
            for one in reversed(rest.get("history", device=DEVICE, model=MODEL))
            if one["release"] == 2
        }
    plain = len(models.file)
    payload = round(steps["fetched"]["figures"]["bytes"])
    bound = payload + manifest + 20_000
    yield {"what": f"{kind}: push to serving", "value": seconds, "unit": "s", "most": 2}
    yield {"what": f"{kind}: payload", "value": payload, "unit": "B"}
    yield {"what": f"{kind}: of the file", "value": 100 * payload / plain, "unit": "%"}
    yield {"what": f"{kind}: bodies", "value": sent, "unit": "B", "most": bound}
    most = payload + 1.1 * plain
    yield {"what": f"{kind}: disk writes", "value": written, "unit": "B", "most": most}
    before = begun_ms
    for event, name in (("desired", "heard"), ("fetched", "brought"), ("passed", "tried")):
        took = (steps[event]["time_ms"] - before) / 1000
        before = steps[event]["time_ms"]
        yield {"what": f"{kind}: until {name}", "value": took, "unit": "s"}
    took = seconds - (before - begun_ms) / 1000
    yield {"what": f"{kind}: until it answers", "value": took, "unit": "s"}


def _serves(found: World, release: int) -> bool:
    url = f"http://{found.ready['http']}/v1/models/{MODEL}"
    reply = urllib3.request("GET", url, timeout=5, retries=False)
    told = json.loads(reply.data).get("model_version_status", [])
    return any(one["version"] == str(release) for one in told)


def _manifest_bytes(console: ConsoleProcess) -> int:
    """Return how long the manifest of release 2 is."""
    folder = console.publisher.folder / "targets" / "bundles" / MODEL / "2"
    return sum(path.stat().st_size for path in folder.iterdir())


def _written(found: World) -> int:
    """Return how many bytes agent and serve wrote to disks so far, children that ended included."""
    pids = (found.device.pid, *found.pids().values())
    told = [Path(f"/proc/{pid}/io").read_text() for pid in pids]
    return sum(
        int(line.split()[1])
        for one in told
        for line in one.splitlines()
        if line.startswith("write_bytes")
    )


def main(*words: str) -> dict[str, Any]:
    asked = _asked(words)
    models = releases(asked.model)
    return {"rows": [row for kind in asked.kinds or KINDS for row in measured(kind, models)]}


def _asked(given: Sequence[str]) -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", choices=(*SHAPES, TINY), default="large")
    words.add_argument("--kind", dest="kinds", action="append", choices=tuple(KINDS))
    return words.parse_args(given)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
