"""In a child: a Keras 2 model, HDF5 or .keras, to a program; HDF5 of Keras 3 goes to Keras 3.

tf-keras computes the true answers.
"""

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from littoral import records
from littoral.errors import MalformedError
from littoral_converter.importers import halves, hdf5, keras_model, program, recurrent, saving
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
    if hdf5.is_one(job.model) and hdf5.look(job.model).keras.startswith("3"):
        from littoral_converter.importers import keras

        return keras.run(job, say=say)
    return _run(job, say=say)


def _check_archive(path: Path) -> None:
    """Refuse code in a .keras file before tf-keras sees it."""
    try:
        keras_model.check_sizes(path)
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("config.json")
            if info.file_size > _MAX_CONFIG:
                raise MalformedError(f"{path.name}: config.json is larger than any true one")
            config = records.parse_json(archive.read(info), limit=_MAX_CONFIG)
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, zlib.error, records.RecordError) as e:
        raise MalformedError(f"{path.name}: damaged or cut short ({e}); save it again") from e
    hdf5.check_code(path.name, config)


def _run(job: Job, *, say: Say) -> Program:
    say(Progress(stage="loading TensorFlow"))
    import tensorflow as tf
    import tf_keras

    say(Progress(stage="loading the model"))
    model, notes = halves.in_floats(tf_keras, load(tf_keras, job.model, job.folder))
    opened = keras_model.Opened.of(model, job)
    loops = opened.loops
    made = model
    if loops.way == "unrolled":
        made = recurrent.rebuilt(tf_keras, model, opened.config, opened.shape)
    say(Progress(stage="exporting at batch 1"))
    saved = job.folder / program.SAVED
    saving.save(
        lambda x: made(x, training=False),
        opened.shape,
        saved,
        tracked=made,
        source=opened.source,
        answer=opened.answer,
    )
    (job.folder / program.FLOAT).write_bytes(to_float(saved, say=say))
    opened.leave_answers(model, job, say=say)
    return Program(
        parameters=int(model.count_params()),
        layers=keras_model.layers(model),
        software=saving.software(tensorflow=tf.__version__, tf_keras=tf_keras.__version__),
        saved=True,
        # Exported by tf-keras, what can be one operator is one.
        loops=replace(loops, way="fused") if loops.way == "fusable" else loops,
        notes=notes,
    )


def load(tf_keras: Any, path: Path, folder: Path) -> Any:  # noqa: ANN401
    """Return the model of a .keras or HDF5 file, and run none of its author's code.

    Raises:
        MalformedError: Keras 2 cannot read it.
        ConversionError: It holds code, or what only its author has.

    """
    from tf_keras.src.saving import serialization_lib

    if not hdf5.is_one(path):
        _check_archive(path)
    named = keras_model.named(path, folder)
    try:
        with serialization_lib.SafeModeScope(safe_mode=True):
            return tf_keras.models.load_model(named, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, AttributeError) as e:
        if "Unknown layer" in str(e) or "Could not locate" in str(e):
            raise hdf5.strange(path.name, f"a layer of its own ({one_line(e)})") from e
        raise MalformedError(
            f"{path.name}: Keras 2 cannot read it; save or copy it again: {one_line(e)}"
        ) from e
