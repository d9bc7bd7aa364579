"""The C client of ``caller.c``, built where a compiler is, and told from Python what to ask."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

SOURCE: Final = Path(__file__).with_name("caller.c")
BUILT: Final = Path(__file__).parents[2] / "build" / "load" / "caller"


class NoCompilerError(Exception):
    """There is no C compiler here."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How many there were, and how long they took in µs."""

    count: int
    errors: int
    least: float
    median: float
    mean: float
    p99: float


class Caller:
    """Says one request again and again. Not safe to share between threads."""

    def __init__(self, asked: IO[str], told: IO[str]) -> None:
        self._asked, self._told = asked, told

    def call(self, *, seconds: float, connections: int = 1, count: int = 10**12) -> Answers:
        """Ask for so long, or until each connection had ``count`` answers."""
        self._asked.write(f"{connections} {seconds * 1e3} {count}\n")
        self._asked.flush()
        answers, errors, *times = self._told.readline().split()
        return Answers(int(answers), int(errors), *map(float, times))


@contextmanager
def caller(way: Literal["http", "frame"], address: str, request: Path) -> Iterator[Caller]:
    """Give a client of ``address``. Raises NoCompilerError."""
    with subprocess.Popen(
        [str(program()), way, address, str(request)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield Caller(child.stdin, child.stdout)
        finally:
            child.stdin.close()


def program() -> Path:
    """Return the program, built if its source is newer. Raises NoCompilerError."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if BUILT.is_file() and BUILT.stat().st_mtime > SOURCE.stat().st_mtime:
        return BUILT
    if compiler is None:
        raise NoCompilerError("there is no C compiler")
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    fresh = BUILT.with_suffix(".new")
    subprocess.run([compiler, "-O2", "-o", str(fresh), str(SOURCE), "-lpthread"], check=True)
    fresh.replace(BUILT)
    return BUILT
