"""What edgetpu_compiler prints, as values: whether it made anything, of what, and why not.

Its exit code alone says too little: it has ended with 0 and nothing made, and with a model of no
use beside another code. Nothing here runs it.
"""

import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAPPED: Final = "Mapped to Edge TPU"


class Failure(Enum):
    """Why nothing was made."""

    NOT_QUANTIZED = auto()
    OPEN_SHAPE = auto()  # a shape is known only at run time
    NEWER_OPERATOR = auto()  # in a version that is younger than the compiler
    TOO_LARGE = auto()  # its activations do not fit on the chip
    INTERNAL = auto()  # the compiler's own; the same call has succeeded the next time
    CRASHED = auto()  # likewise
    TIMED_OUT = auto()
    SILENT = auto()  # it ended without a word on how it went
    STUB = auto()  # it said that it succeeded, and left a file with nothing for an Edge TPU
    OTHER = auto()


# What is printed where it fails, the most telling first.
_FAILURES: Final = (
    (re.compile(r"Model not quantized"), Failure.NOT_QUANTIZED),
    (re.compile(r"only supports static-sized tensors"), Failure.OPEN_SHAPE),
    (re.compile(r"Didn't find op for builtin opcode"), Failure.NEWER_OPERATOR),
    (re.compile(r"large activation tensors"), Failure.TOO_LARGE),
    (re.compile(r"Internal compiler error"), Failure.INTERNAL),
    (re.compile(r"Segmentation fault|Aborted|core dumped"), Failure.CRASHED),
    (re.compile(r"timed? ?out(?! (?:timer|period))", re.IGNORECASE), Failure.TIMED_OUT),
    (re.compile(r"^(?:Invalid model|Compilation failed|ERROR)", re.MULTILINE), Failure.OTHER),
)
_TELLING: Final = re.compile(
    r"^.*(?:Model not quantized|Internal compiler error|Compilation failed:|Invalid model|ERROR:|"
    r"Segmentation fault).*$",
    re.MULTILINE,
)
_VERSION: Final = re.compile(r"Edge TPU Compiler version (\S+)")
_TRY: Final = "Try to compile segment"
_SUCCESS: Final = re.compile(r"^Models? compiled successfully in (\d+) ms", re.MULTILINE)
_BLOCK: Final = re.compile(r"^Input model: ", re.MULTILINE)
_ROW: Final = re.compile(r"^([A-Z][A-Z0-9_]*|[\w.-]+)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
_SIZE: Final = re.compile(r"([\d.]+)\s*(B|KiB|MiB|GiB)")
_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of so many operators of one name, in the compiler's words."""

    operator: str
    count: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is printed about one model; None is what was not."""

    name: str
    output: str | None
    cached_bytes: int | None
    remaining_bytes: int | None
    streamed_bytes: int | None
    subgraphs: int | None
    operations: int | None
    mapped: int | None
    left: int | None
    statuses: tuple[Status, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    version: str | None
    succeeded: bool
    failure: Failure | None
    words: str  # its own, of the failure
    models: tuple[Model, ...]


def read(text: str) -> Log:
    """Return what ``text``, all that the compiler printed, says."""
    found = _VERSION.search(text)
    # A search prints the failure of each part that it tries, before the one that it takes.
    text = text.rpartition(_TRY)[2]
    failure = next((kind for pattern, kind in _FAILURES if pattern.search(text)), None)
    success = _SUCCESS.search(text) is not None
    if failure is None and not success:
        failure = Failure.SILENT
    told = [words.strip() for words in _TELLING.findall(text)]
    return Log(
        version=found[1] if found else None,
        succeeded=failure is None,
        failure=failure,
        words=told[-1][:300] if told else "",
        models=tuple(_model(block) for block in _BLOCK.split(text)[1:]),
    )


def _model(block: str) -> Model:
    statuses = _statuses(block)
    mapped = _number(block, "Number of operations that will run on Edge TPU")
    left = _number(block, "Number of operations that will run on CPU")
    total = _number(block, "Total number of operations")
    if mapped is None and total is not None:  # it counts them apart only where some are left
        mapped, left = total, 0
    return Model(
        name=block.splitlines()[0].strip(),
        output=_text(block, "Output model"),
        cached_bytes=_size(block, "On-chip memory used for caching model parameters"),
        remaining_bytes=_size(block, "On-chip memory remaining for caching model parameters"),
        streamed_bytes=_size(block, "Off-chip memory used for streaming uncached model parameters"),
        subgraphs=_number(block, "Number of Edge TPU subgraphs"),
        operations=total,
        mapped=mapped,
        left=left,
        statuses=statuses,
    )


def _statuses(block: str) -> tuple[Status, ...]:
    _, head, table = block.partition("Operator ")
    if not head:
        return ()
    rows: Counter[tuple[str, str]] = Counter()
    for name, count, words in _ROW.findall(table):
        rows[name, words] += int(count)
    return tuple(
        Status(operator=name, count=count, words=words) for (name, words), count in rows.items()
    )


def _text(block: str, key: str) -> str | None:
    found = re.search(rf"^{re.escape(key)}: (.+)$", block, re.MULTILINE)
    return found[1].strip() if found else None


def _number(block: str, key: str) -> int | None:
    found = _text(block, key)
    return int(found) if found is not None and found.isdecimal() else None


def _size(block: str, key: str) -> int | None:
    found = _SIZE.fullmatch(_text(block, key) or "")
    return round(float(found[1]) * _UNITS[found[2]]) if found else None
