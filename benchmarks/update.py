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
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from pairs.trained import SHAPES, trained
from simulators.console import ConsoleProcess, littoral, until
from simulators.repository import RepositorySimulator
from simulators.served import Device

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests/fixtures"
TINY = "tiny"  # which needs no training
MODEL, DEVICE = "digits", "bench-1"
KINDS = {"plain": ("--no-encodings",), "zstd": ("--patches", "0"), "patch": ()}
AFTER_S = 2.0  # what is still said and written once it serves
SETTINGS = """
hardware = ["cpu-x86_64"]
probation_s = 1.0
telemetry_window_s = 3600
disk_reserve_bytes = 0
"""
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


@contextmanager
def world(folder: Path, kind: str, models: Releases) -> Iterator["World"]:
    """Run a fleet of one device, which has release 1 proven; release 2 is published as ``kind``."""
    publisher = RepositorySimulator(folder)
    for release, data in enumerate((models.base, models.file), 1):
        bundle = _bundle(folder, release, data)
        if release == 1:
            publisher.publish(bundle)
            continue
        keys = ("--repo", publisher.folder, "--offline", publisher.offline)
        done = littoral("publish", bundle, *keys, *KINDS[kind])
        assert done.returncode == 0, done.stderr
    with ConsoleProcess(folder, publisher) as console:
        console.upload()
        tree = folder / "device"
        asked = ("enroll", console.ready["devices"], "--token", console.token())
        done = littoral(*asked, "--data", tree, "--name", DEVICE)
        assert done.returncode == 0, done.stderr
        (tree / "agent.toml").write_text(SETTINGS)
        with (folder / "device.log").open("ab") as log:
            words = ("run", "--data", str(tree), "--http", "127.0.0.1:0", "--json")
            command = (sys.executable, "-m", "littoral", *words)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield World(console, process, ready)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@dataclass(frozen=True, slots=True)
class World:
    console: ConsoleProcess
    device: "subprocess.Popen[str]"
    ready: dict[str, Any]


def _bundle(folder: Path, release: int, data: bytes) -> Path:
    press = Device(folder / "press" / str(release))
    made = press.add(MODEL, release=release, data=data, golden_of=data)
    return press.bundle(made, folder / "bundles" / str(release))


def measured(kind: str, models: Releases) -> Iterator[Row]:
    """Walk what one update of that kind costs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_disk())))
        found = stack.enter_context(world(folder, kind, models))
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


def _disk() -> Path:
    """Return a folder on a disk, whose writes the kernel counts."""
    found = ROOT / "build"
    found.mkdir(exist_ok=True)
    return found


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
    pids = Path(f"/proc/{found.device.pid}/task/{found.device.pid}/children").read_text().split()
    told = [Path(f"/proc/{pid}/io").read_text() for pid in (str(found.device.pid), *pids)]
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
