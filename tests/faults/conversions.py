"""Hostile and broken inputs through the real `littoral convert`, each in an empty folder.

Bad is: an end that is no **words** (one line with a code that docs/errors.md has), a **defect**, a
**canary** that code of the model's author made, anything **left** (a bundle, half of one, temporary
files, processes), a command that is **late** or takes too much **memory**.
"""

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from faults.conversions_cases import FAMILIES, Given, Ground
from faults.tally import Tally

RUNS: Final = 200
_ROOT: Final = Path(__file__).parents[2]
_LATE_S: Final = 300.0
_MEMORY_BYTES: Final = 3 * 2**30  # the most that a child may hold at once
_DEADLINE: Final = "\n[limits]\ndeadline_s = 120.0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    runs: int | None = None
    seed: int = 7
    families: tuple[str, ...] = tuple(FAMILIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the command ended, and what was there then."""

    code: int
    err: str
    seconds: float
    canary: bool
    left: tuple[str, ...]


@contextmanager
def sources(folder: Path | None = None) -> Iterator[Path]:
    """Honest models in all formats, and samples; those in ``folder`` where it is named."""
    if folder is not None:
        yield folder
        return
    with TemporaryDirectory(prefix="littoral-honest-") as made:
        here = _ROOT / "tests" / "converter"
        for command in (
            [here / "make_models.py", made],
            [here / "make_formats.py", Path(made) / "digits.keras", made],
        ):
            done = subprocess.run(
                [sys.executable, *map(str, command)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(done.stderr)
        yield Path(made)


def run(honest: Path, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally = Tally()
    codes = frozenset(re.findall(r"^\| `([a-z-]+)`", _errors(), re.MULTILINE))
    for number in range(RUNS if aim.runs is None else aim.runs):
        family = aim.families[number % len(aim.families)]
        with TemporaryDirectory(prefix="littoral-hostile-") as place:
            folder = Path(place) / "given"
            folder.mkdir()
            on = Ground(honest=honest, folder=folder, rng=Random(f"{aim.seed} {number}"))
            ended = convert(FAMILIES[family](on), Path(place))
        tally.points[family] += 1
        tally.count[code(ended)] += 1
        tally.blame(f"{family} {aim.seed} {number}", wrong(ended, codes))
        yield tally
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    tally.count["largest process in MB"] = peak // 10**6
    if peak > _MEMORY_BYTES:
        tally.found.append(f"memory: a process took {peak >> 20} MiB")
    yield tally


def convert(given: Given, place: Path) -> Ended:
    """Run the command in ``place``, which is its home and its temporary folder, too."""
    recipe, out, temporary = place / "recipe.toml", place / "out", place / "tmp"
    temporary.mkdir()
    told = given.recipe.read_text() if given.recipe is not None else ""
    recipe.write_text(told + _DEADLINE)
    command = [sys.executable, "-m", "littoral", "convert", str(given.model), "-o", str(out)]
    command += ["--calibration", str(given.calibration), "--recipe", str(recipe), "--no-cache"]
    begun = time.monotonic()
    environment = os.environ | {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(place / "cache")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        _, err = process.communicate(timeout=_LATE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
    whole = process.returncode == 0 and (out / "manifest.json").is_file()
    left = [path.name for path in temporary.iterdir()]
    left += [out.name] if out.exists() and not whole else []
    left += [path.name for path in place.iterdir() if path.name.startswith(".out")]
    return Ended(
        code=process.returncode,
        err=err,
        seconds=time.monotonic() - begun,
        canary=given.canary.exists(),
        left=(*left, *_processes(place)),
    )


def code(ended: Ended) -> str:
    """Return the code of the error that was told; what was converted after all is ``fine``."""
    found = re.search(r"^error: .* \[([a-z-]+)\]$", ended.err, re.MULTILINE)
    return "fine" if ended.code == 0 else found[1] if found else "no words"


def wrong(ended: Ended, codes: frozenset[str]) -> list[str]:
    """Return what is bad about it; each line begins with its kind."""
    told, found = code(ended), []
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    if told == "no words" or "Traceback" in ended.err or len(errors) != (ended.code != 0):
        found.append(f"words: {ended.err[-300:]!r}")
    elif told == "defect":
        found.append(f"defect: {ended.err[-300:]!r}")
    elif told not in codes | {"fine"}:
        found.append(f"words: no code {told!r} in docs/errors.md")
    if ended.canary:
        found.append("canary: code of the model's author ran")
    if ended.left:
        found.append(f"left: {', '.join(ended.left)}")
    if ended.seconds > _LATE_S:
        found.append(f"late: {ended.seconds:.0f} s")
    return found


def _errors() -> str:
    return (_ROOT / "docs" / "errors.md").read_text()


def _processes(place: Path) -> list[str]:
    """Return what still runs and names ``place``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(place).encode() in words:
                found.append(f"process {entry.name}")
    return found
