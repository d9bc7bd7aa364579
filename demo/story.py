"""The story that ``make demo`` tells: a model's whole way, from training to a refused update.

    .venv/bin/python demo/story.py [--once] [--json] [--keep DIR]

It imports nothing of littoral's: everything is done by the command ``littoral`` and over HTTP,
in a work folder of its own, on free ports of the loopback interface. Each step checks what it
did; ``--once`` exits 0 if and only if every step held.
"""

import argparse
import contextlib
import json
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chapters import fleet, models, refusals, seeing, serving
from stage import Stage, UnmetError, tail
from world import World

HERE = Path(__file__).parent
WIDTH = 76  # of the table's figures
MARK = ".littoral-demo"  # only a folder that bears it is ever wiped


@dataclass(slots=True)
class Step:
    name: str
    ok: bool
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


STEPS: tuple[tuple[str, str, Callable[[World], dict[str, Any]]], ...] = (
    ("train", "Train small CNNs on 1,437 handwritten digits", models.train),
    ("convert", "Convert two of them to INT8, evaluate, bundle", models.convert),
    ("publish", "Make keys, sign and publish release 1", fleet.publish),
    ("console", "Start the console and its broker, upload", fleet.console),
    ("device", "Enrol a device; release 1 arrives, is proven, serves", fleet.device),
    ("use", "The whole test set through :predict", serving.use),
    ("update", "Release 2, while eight clients hammer", serving.update),
    ("prepare-refusals", "Make five bad releases; clients go on asking", refusals.prepare),
    ("refuse-hash", "A blob with one flipped bit", refusals.flipped_bit),
    ("refuse-signature", "A manifest signed with a stranger's key", refusals.stranger),
    ("refuse-outputs", "Other outputs than its golden vectors", refusals.other_outputs),
    ("refuse-latency", "Slower than its budget", refusals.slow),
    ("refuse-hardware", "For hardware that is not there", refusals.other_hardware),
    ("rollback", "Back to release 1, on purpose", serving.rollback),
    ("telemetry", "Percentiles from merged sketches", seeing.telemetry),
    ("pages", "The console's pages, looked at in a browser", seeing.pages),
)


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--once", action="store_true", help="exit when the story is told")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="the work folder (demo/.work)")
    asked = parser.parse_args(args)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    work = _empty(asked.keep or HERE / ".work")
    with contextlib.suppress(KeyboardInterrupt), Stage(work) as stage:
        world = World(stage)
        told = tell(world)
        ok = len(told) == len(STEPS) and all(step.ok for step in told)
        if asked.json:
            print(json.dumps({"ok": ok, "steps": [asdict(step) for step in told]}), flush=True)
        else:
            print(table(told), flush=True)
        if not asked.once:
            stay(world)
        return 0 if ok else 1
    return 130


def tell(world: World) -> list[Step]:
    """Do one step after the other, to the first that does not hold."""
    told: list[Step] = []
    for number, (name, title, chapter) in enumerate(STEPS, 1):
        _say(f"{number:2}. {title} …")
        started = time.monotonic()
        try:
            figures = chapter(world)
        except UnmetError as e:
            told.append(Step(name, ok=False, seconds=_since(started), figures=_why(e)))
            _say(f"    {name} did not hold: {e}\n{tail(e.log) if e.log else ''}")
            break
        told.append(Step(name, ok=True, seconds=_since(started), figures=figures))
    return told


def table(told: list[Step]) -> str:
    """Return the summary, at most two lines of figures a step."""
    rule = "-" * (WIDTH + 35)
    lines = ["", f"{'step':<18} {'held':<5} {'seconds':>7}  figures", rule]
    for step in told:
        held = "yes" if step.ok else "NO"
        said = textwrap.wrap(", ".join(_words(step.figures)), WIDTH, max_lines=2, placeholder=" …")
        first, *rest = said or [""]
        lines.append(f"{step.name:<18} {held:<5} {step.seconds:>7.1f}  {first}")
        lines += [f"{'':<34}{line}" for line in rest]
    seconds = sum(step.seconds for step in told)
    lines += [rule, f"{len(told)} of {len(STEPS)} steps in {seconds:.0f} s"]
    return "\n".join(lines)


def stay(world: World) -> None:
    """Keep everything running until somebody has seen enough."""
    if not world.console:
        return
    print(
        f"\nThe console runs at {world.console} (user {fleet.USER}, password {fleet.PASSWORD});"
        f"\nthe device answers at {world.serve}/v1/models/digits. Ctrl-C ends both.",
        flush=True,
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _empty(work: Path) -> Path:
    """Return the work folder, empty; a folder that no story made is not touched."""
    work = work.absolute()
    if work.exists() and any(work.iterdir()):
        if not (work / MARK).exists():
            sys.exit(f"error: {work} holds what no demo made; name another folder [usage]")
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    (work / MARK).touch()
    return work


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _since(started: float) -> float:
    return round(time.monotonic() - started, 2)


def _why(error: UnmetError) -> dict[str, Any]:
    why = {"expected": error.expected, "found": str(error.found)}
    return why | ({"log": str(error.log), "tail": tail(error.log)} if error.log else {})


def _words(figures: dict[str, Any]) -> Iterator[str]:
    for name, value in figures.items():
        shown = " ".join(_words(value)) if isinstance(value, dict) else value
        yield f"{name} {shown}"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
