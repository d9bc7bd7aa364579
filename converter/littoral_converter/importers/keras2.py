"""In a child: a Keras 2 model, HDF5 or .keras, to a program; HDF5 of Keras 3 goes to Keras 3.

tf-keras computes the true answers.
"""

import json
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral import records
from littoral.errors import ConversionError, MalformedError
from littoral_converter.importers import hdf5, program, recurrent, saving
from littoral_converter.importers.program import Job, Program
from littoral_converter.tf_converter import one_line, to_float
from littoral_converter.worker import Progress, Say

_MAX_CONFIG: Final = 64 * 1024 * 1024


def run(job: Job, *, say: Say) -> Program:
    """Leave a program in the job's folder.

    Raises:
        MalformedError: Keras cannot read the model.
        MisuseError: The samples have another shape than the model's input.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="looking into the model"))
    with job.model.open("rb") as file:
        legacy = file.read(len(hdf5.MARK)) == hdf5.MARK
    if legacy and hdf5.look(job.model).keras.startswith("3"):
        from littoral_converter.importers import keras

        return keras.run(job, say=say)
    if not legacy:
        check_archive(job.model)
    return _run(job, suffix="h5" if legacy else "keras", say=say)


def check_archive(path: Path) -> None:
    """Refuse code in a .keras file before tf-keras sees it."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("config.json")
            if info.file_size > _MAX_CONFIG:
                raise MalformedError(f"{path.name}: config.json is larger than any true one")
            config = records.parse_json(archive.read(info), limit=_MAX_CONFIG)
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, zlib.error, records.RecordError) as e:
        raise MalformedError(f"{path.name}: damaged or cut short ({e}); save it again") from e
    hdf5.check_code(path.name, config)


def _run(job: Job, *, suffix: str, say: Say) -> Program:
    say(Progress(stage="loading TensorFlow"))
    import tensorflow as tf
    import tf_keras

    say(Progress(stage="loading the model"))
    model = load(tf_keras, job, suffix)
    samples = np.load(job.samples, mmap_mode="r")
    declared = _declared(model)
    shape = program.fixed(declared[1:], job.shape, seen=job.seen)
    saving.check(job, shape, samples)
    told = json.loads(model.to_json())
    loops = recurrent.choose(told, shape, job.loops)
    whole = loops.way == "unrolled"
    made = recurrent.rebuilt(tf_keras, model, told, shape) if whole else model
    say(Progress(stage="exporting at batch 1"))
    saved = job.folder / program.SAVED
    saving.save(
        lambda x: made(x, training=False),
        shape,
        saved,
        tracked=made,
        source=saving.name(job.input_name, model.inputs[0].name, otherwise="input"),
        answer=saving.name(job.output_name, model.layers[-1].name, otherwise="output"),
    )
    (job.folder / program.FLOAT).write_bytes(to_float(saved, say=say))
    batch = declared[0] or program.BATCH
    answers = saving.answers(saving.graphed(model), samples, batch=batch, say=say)
    np.save(job.folder / program.ANSWERS, answers)
    return Program(
        parameters=int(model.count_params()),
        layers=dict(sorted(Counter(type(layer).__name__ for layer in _layers(model)).items())),
        software=saving.software(tensorflow=tf.__version__, tf_keras=tf_keras.__version__),
        saved=True,
        # Exported by tf-keras, what can be one operator is one.
        loops=replace(loops, way="fused") if loops.way == "fusable" else loops,
    )


def load(tf_keras: Any, job: Job, suffix: str) -> Any:  # noqa: ANN401
    from tf_keras.src.saving import serialization_lib

    # Keras goes by the name's end; we went by the content.
    path = job.folder / f"model.{suffix}"
    path.symlink_to(job.model)
    try:
        with serialization_lib.SafeModeScope(safe_mode=True):
            return tf_keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, AttributeError) as e:
        if "Unknown layer" in str(e) or "Could not locate" in str(e):
            raise ConversionError(
                f"{job.model.name}: has layers that Keras itself does not have, and code is never "
                f"run from a file; write it with Keras's own layers: {one_line(e)}"
            ) from e
        raise MalformedError(
            f"{job.model.name}: Keras 2 cannot read it; save or copy it again: {one_line(e)}"
        ) from e


def _layers(model: Any) -> list[Any]:  # noqa: ANN401
    found = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001 (no other way)
    return list(found)


def _declared(model: Any) -> program.Open:  # noqa: ANN401
    """Return the input's shape, with the batch."""
    for what in ("inputs", "outputs"):
        found = getattr(model, what, None)
        if not found:
            raise ConversionError(
                "the model was saved before it knew its input; give its first layer an "
                "input_shape, or begin it with keras.Input, and save it again"
            )
        if len(found) != 1:
            raise ConversionError(
                f"expected a model of one input and one output, found {len(found)} {what}; "
                "this version converts no other"
            )
    (source,) = model.inputs
    if source.dtype != "float32":
        raise ConversionError(f"expected an input of float32, found {source.dtype.name}")
    return tuple(source.shape)
