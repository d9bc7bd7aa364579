"""In a child: a Keras 3 model to a program.

Keras computes the true answers, not the converter, so that whatever the export or the quantizer
breaks is seen.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from littoral.errors import ConversionError, MalformedError
from littoral_converter import legacy
from littoral_converter.importers import halves, hdf5, keras_model, program, recurrent, saving
from littoral_converter.importers.program import Job, Program
from littoral_converter.tf_converter import freeze, one_line, to_float
from littoral_converter.worker import Progress, Say


def run(job: Job, *, say: Say) -> Program:
    """Leave a program in the job's folder.

    Raises:
        MalformedError: Keras cannot read the model.
        MisuseError: The samples have another shape than the model's input.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="loading TensorFlow"))
    import keras
    import tensorflow as tf

    say(Progress(stage="loading the model"))
    model, notes = halves.in_floats(keras, load(keras, job.model, job.folder))
    opened = keras_model.Opened.of(model, job)
    opened.leave_answers(model, job, say=say)
    source, answer, loops = opened.source, opened.answer, opened.loops
    fuse = None
    if loops.way == "fusable":
        fuse = program.Fuse(shape=opened.shape, source=source, answer=answer)
        probed = np.asarray(opened.samples[: legacy.PROBED], np.float32)
        legacy.leave(model, probed, job.folder)
    else:
        say(Progress(stage="exporting at batch 1"))
        whole = loops.way == "unrolled"
        made = recurrent.rebuilt(keras, model, opened.config, opened.shape) if whole else model
        data = _converted(keras, made, opened.shape, job, source=source, answer=answer, say=say)
        (job.folder / program.FLOAT).write_bytes(data)
    return Program(
        parameters=int(model.count_params()),
        layers=keras_model.layers(model),
        software=saving.software(tensorflow=tf.__version__, keras=keras.__version__),
        saved=(job.folder / program.SAVED).exists(),
        loops=loops,
        fuse=fuse,
        notes=notes,
    )


def load(keras: Any, path: Path, folder: Path) -> Any:  # noqa: ANN401
    """Return the model of a .keras or HDF5 file, and run none of its author's code.

    Raises:
        MalformedError: Keras cannot read it.
        ConversionError: It holds code, or what only its author has.

    """
    named = keras_model.named(path, folder)
    try:
        if not hdf5.is_one(path):
            keras_model.check_sizes(path)
        return keras.saving.load_model(named, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, AttributeError) as e:
        raise _unreadable(path.name, e) from e
    except (zipfile.BadZipFile, EOFError, zlib.error) as e:
        raise MalformedError(f"{path.name}: damaged or cut short ({e}); save it again") from e


def _unreadable(name: str, error: BaseException) -> MalformedError | ConversionError:
    words = " ".join(str(e) for e in _chain(error))
    if "Lambda" in words:
        return hdf5.code(name)
    lacking = re.search(r"Could not locate (?:class|function) '([^']+)'", words)
    if lacking is not None:
        return hdf5.strange(name, repr(lacking[1]))
    return MalformedError(f"{name}: Keras cannot read it; save or copy it again: {one_line(error)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _converted(
    keras: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    shape: tuple[int, ...],
    job: Job,
    *,
    source: str,
    answer: str,
    say: Say,
) -> bytes:
    """Return the model as float TFLite, and leave SAVED where it is wanted or has to be."""
    saved = job.folder / program.SAVED
    if job.saved:
        _export(keras, model, (1, *shape), saved, source=source, answer=answer)
    call = partial(model, training=False)
    frozen = saving.concrete(call, shape, source=source, answer=answer)
    try:
        return freeze(frozen, source=source, answer=answer, say=say)
    except ConversionError:
        if not job.saved:
            _export(keras, model, (1, *shape), saved, source=source, answer=answer)
        return to_float(saved, say=say)


def _export(
    keras: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    shape: tuple[int, ...],
    saved: Path,
    *,
    source: str,
    answer: str,
) -> None:
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda x: {answer: model(x, training=False)},
        input_signature=[keras.InputSpec(shape=shape, dtype="float32", name=source)],
    )
    archive.write_out(str(saved), verbose=False)
