"""Samples, and their true classes where they are known: what a person calls data, whatever it is.

Tells kinds by content and reads strictly; refuses to know what the samples are for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.preprocessing import Preprocessing
from littoral.durable import storage_errors
from littoral.errors import MalformedError, MisuseError
from littoral_converter.samples import asked
from littoral_converter.samples.asked import Asked, Found, SamplesError
from littoral_converter.worker import Progress, Say

KINDS: Final = (
    ".npz (x, and y where the classes are known), .npy (x alone), a folder of pictures "
    "(sub-folder = class, or labels.csv), or TFRecord"
)

_MOST_LABELS: Final = 8 * 2**20  # bytes: more than all names may have


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """``x`` is [n, …] float32, in the scale that the model takes; ``y`` is [n] int64."""

    name: str
    sha256: str
    x: NDArray[np.float32]
    y: NDArray[np.int64] | None = None
    targets: NDArray[np.float32] | None = None  # [n, …]: true numbers, where there are no classes
    labels: tuple[str, ...] | None = None  # the names of the classes, in order
    of: int = 0  # how many samples there were to choose from
    preprocessing: Preprocessing | None = None  # of pictures: what was done, with nothing left open
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


def read(
    path: Path, want: Asked | None = None, *, into: Path | None = None, say: Say | None = None
) -> Data:
    """Return the samples in ``path``: in memory, or mapped from ``into``, an .npy to be made.

    Raises:
        MisuseError: There is no such file, or it is of a kind that is not read.
        MalformedError: It is damaged, or what it holds cannot be samples.

    """
    want, say = want or Asked(), say or _silent
    with storage_errors(path):
        if not path.exists():
            raise MisuseError(f"no data {path}: there is no such file")
        if not path.is_file() and not path.is_dir():  # a pipe would be waited for without end
            raise MisuseError(f"{path} is no regular file: data is read more than once")
    try:
        found = _found(path, want, into=into, say=say)
    except SamplesError as e:
        raise MalformedError(f"{path}: {e}") from e
    return Data(
        name=path.name or path.resolve().name,
        sha256=found.sha256,
        x=found.x,
        y=found.y,
        targets=found.targets,
        labels=found.labels,
        of=found.of,
        preprocessing=found.preprocessing,
        notes=found.notes,
    )


def _silent(_: Progress) -> None:
    pass


def _found(path: Path, want: Asked, *, into: Path | None, say: Say) -> Found:
    if path.is_dir():
        return _folder(path, want, into=into, say=say)
    with storage_errors(path), path.open("rb") as file:
        head = file.read(8)
    if head.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        from littoral_converter.samples import arrays

        return arrays.read(path, want, into=into, say=say)
    from littoral_converter.samples import tfrecords

    if tfrecords.is_one(path):
        return tfrecords.read((path,), want, into=into, say=say)
    raise MalformedError(f"{path}: expected {KINDS}; found something that begins with {head!r}")


def _folder(path: Path, want: Asked, *, into: Path | None, say: Say) -> Found:
    from littoral_converter.samples import pictures, tfrecords

    with storage_errors(path):
        files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    parts = tuple(p for p in files if "tfrecord" in p.name.lower() and tfrecords.is_one(p))
    if parts:
        return tfrecords.read(parts, want, into=into, say=say)
    return pictures.read(path, want, into=into, say=say)


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the names of the classes: one a line, in order.

    Raises:
        MisuseError: There is no such file.
        MalformedError: It is not text, or names nothing.

    """
    if not path.is_file():
        raise MisuseError(f"no labels {path}: there is no such file")
    try:
        with storage_errors(path), path.open("rb") as file:
            lines = file.read(_MOST_LABELS).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as e:
        raise MalformedError(f"{path}: expected UTF-8 text, one name a line") from e
    try:
        names = asked.names(line.strip() for line in lines if line.strip())
    except SamplesError as e:
        raise MalformedError(f"{path}: {e}") from e
    if not names:
        raise MalformedError(f"{path}: expected one name a line, found none")
    return names
