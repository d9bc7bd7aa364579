"""Hostile encodings, correctly named in a manifest, met by the agent's own decoder.

Each is decoded here, in this process, as the child would; and every n-th by the agent's own way,
in a real child with its limits. Bad is: anything **believed** that is not the file; what
**escaped** the tree of errors; a child that broke, or that was **starved**; anything **left** by
it; much **memory**, or a **slow** one.
"""

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from unittest.mock import patch

from faults import encodings_teeth
from faults.encodings_made import Hostile, hostile, pairs
from faults.ground import TESTS
from faults.memory import in_memory
from faults.tally import Tally
from littoral.bundle import encodings
from littoral.errors import EncodingError, LittoralError
from littoral.tree import Tree
from littoral_agent import child, decode_status, decoding
from littoral_agent.halting import Halt
from simulators.encodings import file_of, made, sha256

RUNS: Final = 10_000
MOST_CPU_S: Final = 2.0
MOST_KIB: Final = 5 * 1024  # above what a child takes that refuses its first byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How many, and which of them go through a real child, too."""

    runs: int | None = None
    seed: int = 7
    first: int = 0
    broken: str = ""  # a rule of faults.encodings_teeth
    every: int = 5  # of them goes through a real child, too


@dataclass(slots=True)
class World:
    """A device's folder that holds every base, and the pipe into which children say what they took.

    What is ``broken`` is so in children.
    """

    tree: Tree
    pipe: int
    broken: str = ""
    least_kib: int = 0
    most_kib: dict[str, int] = field(default_factory=dict)  # by family, in children
    clean: frozenset[str] = frozenset()  # what lies there when nothing is left
    children: frozenset[str] = frozenset()  # and who is there

    def took_kib(self) -> int | None:
        """Return the most that the last child had, None if it could not say."""
        try:
            return int(os.read(self.pipe, 100))
        except BlockingIOError:
            return None

    def names(self) -> frozenset[str]:
        return frozenset(str(path) for path in self.tree.root.rglob("*"))


@contextmanager
def world() -> Iterator[World]:
    with in_memory("encodings") as folder:
        yield from _world(folder)


def _world(folder: Path) -> Iterator[World]:
    tree = Tree(folder / "device")
    tree.make()
    for pair in pairs():
        tree.blob(sha256(pair.old)).write_bytes(pair.old)
    os.mkfifo(folder / "took")
    pipe = os.open(folder / "took", os.O_RDWR | os.O_NONBLOCK)
    told = {**child.environment(), "TOOK": str(folder / "took")}
    told["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    here = World(tree, pipe, children=_children())
    try:
        with (
            patch.object(child, "environment", lambda: {**told, "BROKEN": here.broken}),
            patch.object(decode_status, "MODULE", "faults.encodings_child"),
        ):
            here.clean = here.names()
            _settle(here)
            yield here
    finally:
        os.close(pipe)


def run(here: World, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each."""
    here.broken = aim.broken
    with encodings_teeth.broken(aim.broken):
        yield from _run(here, aim)


def _run(here: World, aim: Aim) -> Iterator[Tally]:
    tally, longest_s = Tally(), 0.0
    runs = RUNS if aim.runs is None else aim.runs
    for number in range(aim.first, aim.first + runs):
        one = hostile(aim.seed, number)
        begun = time.process_time()
        code, wrong = _here(one)
        spent = time.process_time() - begun
        longest_s = max(longest_s, spent)
        if spent > MOST_CPU_S:
            wrong.append(f"slow: {spent:.1f} s of CPU time")
        if number % aim.every == 0:
            wrong += _in_child(here, one, tally)
        tally.blame(one, wrong)
        tally.count[code] += 1
        tally.points[one.family] += 1
        tally.count["longest in ms of CPU time"] = round(longest_s * 1000)
        tally.count["a child's KiB, at least"] = here.least_kib
        tally.count["a child's KiB, at most"] = max(here.most_kib.values(), default=0)
        yield tally


def _settle(here: World) -> None:
    """See how much a child takes that does next to nothing."""
    nothing = replace(hostile(0, 0), made=made("zstd", b"nothing"))
    _decoded(here, nothing)
    here.tree.part(nothing.made.encoding.sha256).unlink()
    here.least_kib = here.took_kib() or 0


def _here(one: Hostile) -> tuple[str, list[str]]:
    """Decode it in this process; return what it was found to be, and what is wrong."""
    old = one.pair.old
    walk = encodings.decode(
        file_of(one.pair.new),
        one.made.encoding,
        io.BytesIO(one.made.data).read,
        base=lambda at, size: old[at : at + size],
    )
    try:
        data = b"".join(walk)
    except LittoralError as e:
        return e.code, []
    except Exception as e:  # noqa: BLE001 (whatever it is: nobody thought of it)
        return "escaped", [f"escaped: {type(e).__name__}: {str(e)[:200]}"]
    return "honest", [] if data == one.pair.new else ["believed: other bytes, here"]


def _in_child(here: World, one: Hostile, tally: Tally) -> list[str]:
    """Let the agent decode it in a child; return what is wrong."""
    wrong, begun = [], time.monotonic()
    error = _decoded(here, one)
    took_s, took_kib = time.monotonic() - begun, here.took_kib()
    tally.count["in a child"] += 1
    slowest = "a child's longest in ms"
    tally.count[slowest] = max(tally.count[slowest], round(took_s * 1000))
    blob = here.tree.blob(sha256(one.pair.new))
    if blob.exists():
        if blob.read_bytes() != one.pair.new or error is not None:
            wrong.append("believed: other bytes, of a child")
        blob.unlink()
    elif not isinstance(error, EncodingError):
        wrong.append(f"starved: {error}")
    elif "broke" in str(error):
        wrong.append(f"escaped: {error}")
    if took_kib is None:
        wrong.append("silent: the child did not say what it took")
    else:
        here.most_kib[one.family] = max(here.most_kib.get(one.family, 0), took_kib)
        if took_kib > here.least_kib + MOST_KIB:
            wrong.append(f"memory: {took_kib - here.least_kib} KiB")
    here.tree.part(one.made.encoding.sha256).unlink(missing_ok=True)
    wrong += [f"left: {name}" for name in here.names() - here.clean]
    return wrong + [f"left: process {pid}" for pid in _children() - here.children]


def _decoded(here: World, one: Hostile) -> LittoralError | None:
    """Have the agent make the file of it; return why it does not."""
    here.tree.part(one.made.encoding.sha256).write_bytes(one.made.data)
    try:
        decoding.decoded(file_of(one.pair.new), one.made.encoding, here.tree, halt=Halt())
    except LittoralError as e:
        return e
    return None


def _children() -> frozenset[str]:
    """Return the processes that this one has, ended ones that nobody waited for among them."""
    tasks = Path("/proc/self/task").iterdir()
    return frozenset(pid for one in tasks for pid in (one / "children").read_text().split())
