"""The C floor of LiteRT, built where a compiler is, and asked from Python.

The program is ``litert.c`` beside this; it is built once into ``build/floor/``.
"""

import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

SOURCE = Path(__file__).with_name("litert.c")
BUILD = Path(__file__).parents[2] / "build" / "floor"


class NoFloorError(Exception):
    """It cannot be had here; the words say why."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one block, in µs."""

    least: float
    median: float
    mean: float
    p99: float


class Floor:
    """One model, compiled. Not safe to share between threads."""

    def __init__(self, asked: IO[str], told: IO[str]) -> None:
        self._asked, self._told = asked, told

    def measure(self, what: Literal["run", "all"], times: int) -> Figures:
        """Return what ``times`` inferences took; ``all``: with every tensor copied in and out."""
        self._asked.write(f"{what} {times}\n")
        self._asked.flush()
        return Figures(*map(float, self._told.readline().split()))


@contextmanager
def floor(model: Path, *, threads: int = 1) -> Iterator[Floor]:
    """Give the floor of ``model``. Raises NoFloorError."""
    words = [str(program()), str(library()), str(model), str(threads)]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            if child.stdout.readline() != "ready\n":
                raise NoFloorError(f"LiteRT's C functions refuse {model.name}")
            yield Floor(child.stdin, child.stdout)
        finally:
            child.stdin.close()


def library() -> Path:
    """Return the library in LiteRT's package. Raises NoFloorError."""
    found = Path(sysconfig.get_paths()["platlib"]) / "ai_edge_litert" / "libLiteRt.so"
    if not found.is_file():
        raise NoFloorError(f"{found} is not there")
    return found


def program() -> Path:
    """Return the program, built if its source is newer. Raises NoFloorError."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    built = BUILD / "litert"
    if built.is_file() and built.stat().st_mtime > SOURCE.stat().st_mtime:
        return built
    if compiler is None:
        raise NoFloorError("there is no C compiler")
    BUILD.mkdir(parents=True, exist_ok=True)
    fresh = built.with_suffix(".new")
    subprocess.run([compiler, "-O2", "-o", str(fresh), str(SOURCE), "-ldl"], check=True)
    fresh.replace(built)
    return built
