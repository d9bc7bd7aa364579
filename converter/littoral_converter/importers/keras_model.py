"""What is asked of a model that either Keras has loaded, and of the file that it lies in."""

import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MalformedError
from littoral_converter.importers import hdf5, program, recurrent, saving
from littoral_converter.importers.program import Job
from littoral_converter.worker import Say

_LARGE: Final = 64 * 1024 * 1024
_PACKED: Final = 20  # times: weights are hardly packed at all, and Keras does not pack them


def check_sizes(path: Path) -> None:
    """Do nothing if what is in the .keras file is no larger than that lets expect.

    Keras reads it whole before it looks at it. Raises BadZipFile where it is no archive.

    Raises:
        MalformedError: A few MB of the file say that they are gigabytes.

    """
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.file_size > max(_LARGE, _PACKED * info.compress_size):
                raise MalformedError(
                    f"{path.name}: {info.filename} would become {info.file_size / 1e6:.0f} MB of "
                    f"{info.compress_size / 1e6:.1f}: no model's parts are packed so; save it again"
                )


def named(path: Path, folder: Path) -> Path:
    """Return a link to the model in ``folder``: Keras goes by the name's end, we by the content."""
    link = folder / f"model.{'h5' if hdf5.is_one(path) else 'keras'}"
    if not link.is_symlink():
        link.symlink_to(path)
    return link


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A loaded model, and what a job asks of it."""

    samples: NDArray[np.float32]
    shape: tuple[int, ...]  # of one sample
    config: dict[str, Any]
    loops: recurrent.Choice
    source: str  # the names of input and output
    answer: str
    batch: int  # samples that it is asked at once

    @classmethod
    def of(cls, model: Any, job: Job) -> Self:  # noqa: ANN401
        """Return what ``job`` asks of ``model``.

        Raises:
            MisuseError: The samples have another shape than the model's input.
            ConversionError: The model has what cannot be converted; says what to do.

        """
        samples = np.load(job.samples, mmap_mode="r")
        batch, *sizes = declared(model)
        shape = program.fixed(tuple(sizes), job.shape, seen=job.seen)
        saving.check(job, shape, samples)
        config = json.loads(model.to_json())
        source, answer = names(model, job)
        return cls(
            samples=samples,
            shape=shape,
            config=config,
            loops=recurrent.choose(config, shape, job.loops),
            source=source,
            answer=answer,
            batch=batch or program.BATCH,
        )

    def leave_answers(self, model: Any, job: Job, *, say: Say) -> None:  # noqa: ANN401
        """Leave what the framework itself answers in the job's folder."""
        found = saving.answers(saving.graphed(model), self.samples, batch=self.batch, say=say)
        np.save(job.folder / program.ANSWERS, found)


def declared(model: Any) -> program.Open:  # noqa: ANN401
    """Return the input's shape, with the batch.

    Raises:
        ConversionError: It is none of one input and one output, or takes no real numbers.

    """
    for what in ("inputs", "outputs"):
        found = getattr(model, what, None)
        if not found:
            raise ConversionError(
                "the model was saved before it knew its input, or is a class of its own; begin it "
                "with keras.Input, as a sequential or functional model, and save it again"
            )
        if len(found) != 1:
            raise ConversionError(
                f"expected a model of one input and one output, found {len(found)} {what}; "
                "this version converts no other"
            )
    (source,) = model.inputs
    dtype = getattr(source.dtype, "name", source.dtype)  # TensorFlow's own, or its name
    if dtype != "float32":
        raise ConversionError(f"expected an input of float32, found {dtype}")
    return tuple(source.shape)


def names(model: Any, job: Job) -> tuple[str, str]:  # noqa: ANN401
    """Return what the program's input and output are called."""
    source = saving.name(job.input_name, model.inputs[0].name, otherwise="input")
    return source, saving.name(job.output_name, model.layers[-1].name, otherwise="output")


def layers(model: Any) -> dict[str, int]:  # noqa: ANN401
    """Return how many layers of each class there are, those inside of layers too."""
    found = model._flatten_layers(include_self=False)  # noqa: SLF001 (no Keras has another way)
    return dict(sorted(Counter(type(layer).__name__ for layer in found).items()))
