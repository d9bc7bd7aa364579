"""What every importer leaves behind, whatever it read: a float TFLite file and the true answers.

Knows the names in the workshop's folder; refuses to know any framework.
"""

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MisuseError
from littoral_converter.importers.recurrent import Choice, Wanted

FLOAT: Final = "float.tflite"  # batch 1, fixed shapes, one signature that names input and output
ANSWERS: Final = "float-answers.npy"  # what the framework itself answers to the samples: [n, …]
SAVED: Final = "saved-model"  # of batch 1, where TensorFlow was the way and it took one
BATCH: Final = 8  # samples that a framework is asked at once: more fit in no cache

FAITHFUL: Final = 0.99  # cosine: integers in the weights cost a thousandth, another layout tenths
_UNPINNED: Final = 224  # shown for a dimension that nobody knows
Open = tuple[int | None, ...]  # a shape of which not all is fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an importer is given. ``seen`` is the shape of one calibration sample."""

    model: Path
    folder: Path  # where FLOAT, ANSWERS and SAVED go
    samples: Path  # .npy of [n, …] float32: what the framework is asked
    seen: tuple[int, ...]
    shape: tuple[int, ...] | None = None  # of one sample: pins what is dynamic
    input_name: str | None = None
    output_name: str | None = None
    signature: str | None = None  # of a SavedModel
    loops: Wanted = "fuse"  # the most that is made of recurrent layers
    saved: bool = False  # SAVED is wanted, also where FLOAT can be made without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """What is to be fused, where legacy.leave left a description of it."""

    shape: tuple[int, ...]  # of one sample
    source: str  # what the input is called
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What was read. ``integer``: FLOAT is quantized already, so that it is judged as it is."""

    parameters: int
    layers: dict[str, int] = field(default_factory=dict)  # how many of each class
    software: dict[str, str] = field(default_factory=dict)
    saved: bool = False
    integer: bool = False
    loops: Choice = field(default_factory=Choice)  # what became of recurrent layers
    fuse: Fuse | None = None  # where that is what is to be done next
    notes: tuple[str, ...] = ()  # what became of it that its author may not expect
    axes: tuple[int, ...] = ()  # in which order FLOAT has those of the samples; (): as they are


def arranged(samples: NDArray[np.float32], found: Program) -> NDArray[np.float32]:
    """Return ``samples``, as they were given, as FLOAT takes them."""
    return np.transpose(samples, found.axes) if found.axes else samples


def check_faithful(truth: NDArray[np.float32], found: NDArray[np.float32]) -> None:
    """Do nothing if FLOAT's answers ``found`` are the ``truth`` that the framework told.

    Raises:
        ConversionError: They are another model's.

    """
    if truth.shape != found.shape:
        raise ConversionError(
            f"the model answers {list(truth.shape[1:])}, and as TFLite {list(found.shape[1:])}: it "
            "was read wrongly; convert it from another format"
        )
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (truth, found))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    alike = np.divide((a * b).sum(axis=1), norms, out=np.ones(len(a)), where=norms > 0).mean()
    if not alike >= FAITHFUL:  # NaN is none
        raise ConversionError(
            f"the model was read wrongly: as float TFLite it answers otherwise than its own "
            f"framework (cosine {alike:.3f}); convert it from another format"
        )


def fixed(
    declared: Open, pinned: tuple[int, ...] | None, *, seen: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the shape of one sample: as ``declared``, what is open as the recipe pins it.

    Raises:
        MisuseError: The recipe pins another shape than the model's.
        ConversionError: Something is open, and nothing pins it.

    """
    if pinned is not None and not _fits(declared, pinned):
        raise MisuseError(
            f"the recipe pins input.shape {list(pinned)}; the model has {_show(declared)}"
        )
    if pinned is None and None in declared:
        example = seen if _fits(declared, seen) else [n or _UNPINNED for n in declared]
        raise ConversionError(
            f"the input is {_show(declared)}, and INT8 needs a fixed shape; pin it in a recipe: "
            f"[input] shape = {list(example)}"
        )
    return pinned or tuple(n for n in declared if n is not None)


def check_samples(what: str, found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Do nothing if samples of ``found`` are what a model of ``shape`` takes.

    Raises:
        MisuseError: They are not.

    """
    if found == shape:
        return
    hint = ""
    if (*found, 1) == shape:
        hint = "; add the last axis: x[..., None]"
    elif found == (prod(shape),):  # as TFRecords have numbers
        hint = f"; reshape them, or, of a TFRecord, say in a recipe: [input] shape = {list(shape)}"
    raise MisuseError(
        f"{what}: expected samples of {list(shape)}, as the model takes them, found "
        f"{list(found)}{hint}"
    )


def _fits(declared: Open, shape: tuple[int, ...]) -> bool:
    return len(declared) == len(shape) and all(
        d is None or d == n for d, n in zip(declared, shape, strict=True)
    )


def _show(shape: Open) -> str:
    return f"[{', '.join('?' if n is None else str(n) for n in shape)}]"
