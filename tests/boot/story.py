"""The story that ``make test-boot`` tells, in Debian trees that systemd boots.

    make test-boot ARGS="[--arch amd64|arm64] [--suite bookworm|trixie] [--cuts N] [--json]"
    make test-boot ARGS="--short"   what the test-suite tells

Needs root, debootstrap and systemd-container. From an empty folder: a Debian tree (kept in
build/boot for the next time), littoral's packages, a console on the host, a device in a network
of its own. Each step checks what it did; the exit status is 0 if and only if all held.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from boot import ground, packages, trees
from boot.chapters import begin, coral, faults, figures, offline, pages, settings
from boot.chapters import packages as life
from boot.world import World
from littoral.errors import LittoralError
from stage import Stage, UnmetError
from story import Step, table

Chapter = Callable[[World], dict[str, Any]]
STEPS: tuple[tuple[str, str, Chapter], ...] = (
    ("boot", "Boot a bare Debian", begin.boot),
    ("install", "Install the package by apt, without a network", begin.install),
    ("enrol", "Enrol at a console on the host", begin.enrol),
    ("receive", "A signed release arrives and answers as on the host", begin.receive),
    ("doctor", "littoral doctor, config check and status", begin.doctor),
    ("tell", "Telemetry tells of every request", begin.tell),
    ("exposure", "What systemd says of the services", begin.exposure),
    ("kill-each", "kill -9 of serve, agent and trials", faults.kill_each),
    ("network", "The network is cut during updates", faults.network),
    ("power", "The power is cut at random moments", faults.power),
    ("clock", "A boot in 1970", faults.clock),
    ("disk", "A card that is full", faults.disk),
    ("offline", "Releases on a stick, and on a share", offline.offline),
    ("waits", "What waits for its window, and for next month", settings.waits),
    ("upgrade", "Upgrade and downgrade under load", life.upgrade),
    ("credential", "A second board enrols by a file on its card", figures.credential),
    ("memory", "What both services hold in memory", figures.memory),
    ("coral", "A model compiled for a Coral, below the drop-in", coral.coral),
    ("page", "docs/install.md, typed as it stands", pages.install_page),
    ("remove", "Remove, come back, purge", life.remove),
)
# Not below qemu: the units are changed for it, it mounts no credentials, its own memory is in all
# figures, and a console that is emulated is nobody's.
NATIVE = {"exposure", "credential", "memory", "coral", "page"}
# What the test-suite tells: a device's life, one kill of each, one cut. The rest is the command's.
SHORT = ("boot", "install", "enrol", "receive", "kill-each", "power", "remove")
MARK = ".littoral-boot"  # only a folder that bears it is ever wiped
RESULTS = trees.ROOT / "benchmarks/results"


def main(args: list[str]) -> int:
    asked = options().parse_args(args)
    kind = trees.Kind(asked.arch, asked.suite)
    for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(130))
    if ground.INSIDE in os.environ:
        return inside(asked, kind)
    work = empty(asked.keep) if asked.keep else Path(tempfile.mkdtemp(prefix="littoral-boot-"))
    try:
        trees.check(kind)
        names = ("agent",) if asked.short else packages.NAMES
        made = {"tree": str(trees.tree(kind)), "packages": packages.build(kind, names)}
        (work / "made.json").write_text(json.dumps(made))
        return ground.enter([sys.executable, "-m", "boot", *args, "--keep", str(work)])
    except trees.CannotError as e:
        if asked.json:
            print(json.dumps({"skipped": str(e)}))
        print(f"skipped: {e}", file=sys.stderr)
        return 77
    finally:
        if asked.keep is None:
            shutil.rmtree(work, ignore_errors=True)


def empty(work: Path) -> Path:
    """Return the work folder, empty; one that no story made is not touched."""
    if work.exists() and any(work.iterdir()):
        if not (work / MARK).exists():
            sys.exit(f"error: {work} holds what no story made; name another folder [usage]")
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    (work / MARK).touch()
    return work.absolute()


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="boot", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", choices=("amd64", "arm64"), default="amd64")
    parser.add_argument("--suite", choices=("bookworm", "trixie"), default="bookworm")
    parser.add_argument("--cuts", type=int, metavar="N", help="of the power (amd64: 50, arm64: 5)")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--steps", metavar="A,B", help="these alone, each on those it builds on")
    chosen.add_argument("--short", action="store_true", help=f"these alone: {', '.join(SHORT)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="the work folder, left as it is")
    parser.add_argument("--mobilenet", type=Path, metavar="FILE", help="a .tflite for the memory")
    return parser


def inside(asked: argparse.Namespace, kind: trees.Kind) -> int:
    made = json.loads((asked.keep / "made.json").read_text())
    with Stage(asked.keep) as stage:
        world = World(
            stage,
            kind,
            Path(made["tree"]),
            {name: Path(path) for name, path in made["packages"].items()},
            cuts=cuts(asked, kind),
            mobilenet=asked.mobilenet,
        )
        try:
            only = asked.steps.split(",") if asked.steps else SHORT if asked.short else None
            told = tell(world, only)
        finally:
            world.end()
    return report(told, kind, as_json=asked.json)


def cuts(asked: argparse.Namespace, kind: trees.Kind) -> int:
    """Return how often the power is cut."""
    if asked.cuts is not None:
        return int(asked.cuts)
    return 1 if asked.short else 5 if kind.foreign else 50


def tell(world: World, only: Sequence[str] | None) -> list[Step]:
    told: list[Step] = []
    here = STEPS if not world.kind.foreign else [s for s in STEPS if s[0] not in NATIVE]
    steps = [step for step in here if only is None or step[0] in only]
    for number, (name, title, chapter) in enumerate(steps, 1):
        print(f"{number:2}. {title} …", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            figures = chapter(world)
        except (UnmetError, LittoralError, OSError, ValueError, SubprocessError) as e:
            seconds = round(time.monotonic() - started, 2)
            unmet = e if isinstance(e, UnmetError) else UnmetError("no trouble", repr(e))
            why = {"expected": unmet.expected, "found": str(unmet.found)}
            told.append(Step(name, ok=False, seconds=seconds, figures=why))
            print(f"    did not hold: {e}", file=sys.stderr, flush=True)
            world.explain()
            break
        told.append(
            Step(name, ok=True, seconds=round(time.monotonic() - started, 2), figures=figures)
        )
    return told


def report(told: list[Step], kind: trees.Kind, *, as_json: bool) -> int:
    """Print what held, and keep it beside the benchmarks' results."""
    ok = all(step.ok for step in told)
    found = {
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "host": platform.platform(),
        "tree": kind.name,
        "ok": ok,
        "steps": [asdict(step) for step in told],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"boot-{kind.name}.json").write_text(json.dumps(found, indent=2) + "\n")
    words, _, _ = table(told).rpartition("\n")  # its last line counts another story's steps
    print(json.dumps(found) if as_json else f"{words}\n{sum(s.ok for s in told)} held", flush=True)
    return 0 if ok else 1
