"""The long form of a harness: python tests/faults/run.py kills [--runs N] [--json].

Exits 0 when nothing was found, 1 when something was, 2 when it cannot be run here.
"""

import argparse
import json
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.tally import Tally

_TRACING = ("kills", "errors", "whole", "crash", "fsyncs")
_OTHERS = (
    "models", "models-whole", "attacks", "mutants", "encodings", "network", "conversions",
    "protocols", "repeats",
)  # fmt: skip
_WHOLE = ("crash", "fsyncs")  # nothing is chosen: all of it is tried


def main() -> int:
    """Run the harness that is named, and say what it found."""
    words = argparse.ArgumentParser(prog="make faults ARGS=…", description=__doc__)
    words.add_argument("name", choices=(*_TRACING, *_OTHERS))
    words.add_argument("--runs", type=int, help="fewer or more than all")
    words.add_argument("--seed", type=int, default=7, help="which are chosen")
    words.add_argument("--share", type=float, default=1.0, help="of a processor's time")
    words.add_argument("--json", action="store_true", help="one object on stdout")
    asked = words.parse_args()
    if asked.name in _WHOLE and asked.runs is not None:
        words.error(f"{asked.name} tries all that there is; leave --runs away")
    if asked.name in _TRACING and shutil.which("strace") is None:
        sys.stderr.write("error: expected strace; apt-get install strace [not-found]\n")
        return 2
    if asked.name == "network" and (why := _no_network()):
        sys.stderr.write(f"error: {why} [not-found]\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is in memory is tidied up
    begun, tally = time.monotonic(), Tally()
    last = begun
    for tally in _harness(asked.name, asked.runs, asked.seed):
        now = time.monotonic()
        time.sleep((now - last) * (1 / asked.share - 1))
        last = time.monotonic()
        if tally.runs % 50 == 0:
            sys.stderr.write(f"{tally.runs} runs, {last - begun:.0f} s; found {tally.found}\n")
    whole = {
        "harness": asked.name,
        "seconds": round(time.monotonic() - begun, 1),
        "machine": f"{platform.machine()}, Linux {platform.release()}",
        "runs": tally.runs,
        "count": dict(tally.count),
        "points": dict(tally.points),
        "bad": dict(tally.bad),
        "found": tally.found,
        **({"figures": tally.figures} if tally.figures else {}),
    }
    sys.stdout.write(json.dumps(whole) if asked.json else _text(whole))
    sys.stdout.write("\n")
    return 1 if tally.found else 0


def _no_network() -> str:
    from faults import network

    return network.missing()


def _harness(name: str, runs: int | None, seed: int) -> Iterator[Tally]:
    match name:
        case "kills" | "errors" | "crash" | "fsyncs":
            yield from _traced(name, runs, seed)
        case "attacks":
            from faults import attacks

            yield from attacks.all_of(runs=runs)
        case "network":
            from faults import network

            yield from network.all_of(runs=runs)
        case "mutants":
            from faults import mutants

            with mutants.world() as here:
                yield from mutants.run(here, mutants.Aim(runs=runs, seed=seed))
        case "encodings":
            from faults import encodings

            with encodings.world() as device:
                yield from encodings.run(device, encodings.Aim(runs=runs, seed=seed))
        case "conversions":
            from faults import conversions

            with conversions.sources() as honest:
                yield from conversions.run(honest, conversions.Aim(runs=runs, seed=seed))
        case "protocols" | "repeats":
            yield from _clients(name, runs, seed)
        case "models":
            from faults import hostile

            yield from hostile.run(hostile.Aim(runs=runs, seed=seed))
        case "models-whole":
            from faults import hostile_whole

            yield from hostile_whole.run(hostile_whole.Aim(runs=runs, seed=seed))
        case _:
            from faults import whole
            from faults.shore import shore

            with shore() as coast:
                yield from whole.run(coast, whole.Aim(runs=runs, seed=seed))


def _clients(name: str, runs: int | None, seed: int) -> Iterator[Tally]:
    from faults import protocols, repeats

    if name == "repeats":
        yield from repeats.run(repeats.Aim(runs=runs, seed=seed))
        return
    with protocols.world() as serve:
        yield from protocols.run(serve, protocols.Aim(runs=runs, seed=seed))


def _traced(name: str, runs: int | None, seed: int) -> Iterator[Tally]:
    from faults import crash, errors, kills
    from faults.crash_updates import Extent
    from faults.ground import ground

    with ground() as here:
        match name:
            case "kills":
                yield from kills.run(here, kills.Aim(runs=runs, seed=seed))
            case "errors":
                yield from errors.run(here, errors.Aim(runs=runs, seed=seed))
            case "crash":
                yield from crash.run(here, crash.Aim(extent=Extent(again=0.02)))
            case _:
                yield from crash.without(here, crash.Aim())


def _text(whole: dict[str, object]) -> str:
    found = whole.pop("found")
    lines = [f"{key}: {value}" for key, value in whole.items()]
    lines += [f"FOUND {one}" for one in found] if isinstance(found, list) else []
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
