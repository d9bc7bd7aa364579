"""Reads data in a child, into a file of the workshop that the parent maps.

Whoever asks gets Data, and no sample is in memory before it is looked at.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from littoral.bundle.preprocessing import Preprocessing
from littoral_converter import data
from littoral_converter.data import Data
from littoral_converter.samples.asked import Asked
from littoral_converter.worker import Say
from littoral_converter.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    path: Path
    into: Path  # an .npy of the samples; what is true goes beside it
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What Data says beside samples and classes."""

    name: str
    sha256: str
    of: int
    known: bool  # whether there are classes
    numbers: bool  # or true numbers
    labels: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()


def samples(shop: Workshop, path: Path, asked: Asked, *, name: str) -> Data:
    """Return the samples in ``path``; ``name`` is what errors and figures call them.

    Raises:
        MisuseError: There is no such file.
        MalformedError: It is damaged, or what it holds cannot be samples.

    """
    job = Job(path=path.absolute(), into=shop.folder / f"{name}.npy", asked=asked)
    found = shop.do("read-data", job, Read, name=f"read the {name} samples")
    return Data(
        name=found.name,
        sha256=found.sha256,
        x=np.load(job.into, mmap_mode="r"),
        y=np.load(_beside(job.into)) if found.known else None,
        targets=np.load(_beside(job.into)) if found.numbers else None,
        labels=found.labels,
        of=found.of,
        preprocessing=found.preprocessing,
        notes=found.notes,
    )


def run(job: Job, *, say: Say) -> Read:
    """Write the samples, and their classes where they are known.

    Raises:
        MisuseError: There is no such file.
        MalformedError: It is damaged, or what it holds cannot be samples.

    """
    found = data.read(job.path, job.asked, into=job.into, say=say)
    truth = found.y if found.targets is None else found.targets
    if truth is not None:
        np.save(_beside(job.into), truth)
    return Read(
        name=found.name,
        sha256=found.sha256,
        of=found.of,
        known=found.y is not None,
        numbers=found.targets is not None,
        labels=found.labels,
        preprocessing=found.preprocessing,
        notes=found.notes,
    )


def _beside(into: Path) -> Path:
    return into.with_name(f"{into.stem}-truth.npy")
