"""In a child: a Keras 3 model to a program.

Keras computes the true answers, not the converter, so that whatever the export or the quantizer
breaks is seen.
"""

import json
import platform
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral.errors import ConversionError, MalformedError
from littoral_converter import legacy
from littoral_converter.importers import hdf5, program, recurrent, saving
from littoral_converter.importers.program import Job, Program
from littoral_converter.tf_converter import one_line, to_float
from littoral_converter.worker import Progress, Say

_AUTOMATIC: Final = ("keras_tensor", "input_layer", "functional", "sequential")


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
    model = load(keras, job.model, job.folder)
    samples = np.load(job.samples, mmap_mode="r")
    shape = program.fixed(_declared(model), job.shape, seen=job.seen)
    program.check_samples("calibration", job.seen, shape)
    program.check_samples("evaluation", samples.shape[1:], shape)
    told = json.loads(model.to_json())
    loops = recurrent.choose(told, shape, job.loops)
    source = job.input_name or _given(model.inputs[0].name) or "input"
    answer = job.output_name or _given(model.layers[-1].name) or "output"
    batch = model.inputs[0].shape[0] or program.BATCH
    answers = saving.answers(saving.graphed(model), samples, batch=batch, say=say)
    np.save(job.folder / program.ANSWERS, answers)
    fuse = None
    if loops.way == "fusable":
        fuse = program.Fuse(shape=shape, source=source, answer=answer)
        legacy.leave(model, np.asarray(samples[: legacy.PROBED], np.float32), job.folder)
    else:
        say(Progress(stage="exporting at batch 1"))
        whole = loops.way == "unrolled"
        made = recurrent.rebuilt(keras, model, told, shape) if whole else model
        saved = job.folder / program.SAVED
        _export(keras, made, (1, *shape), saved, source=source, answer=answer)
        (job.folder / program.FLOAT).write_bytes(to_float(saved, say=say))
    return Program(
        parameters=int(model.count_params()),
        layers=_layers(model),
        software={
            "tensorflow": str(tf.__version__),
            "keras": str(keras.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        saved=True,
        loops=loops,
        fuse=fuse,
    )


def load(keras: Any, path: Path, folder: Path) -> Any:  # noqa: ANN401
    """Return the model of a .keras or HDF5 file, and run none of its author's code.

    Raises:
        MalformedError: Keras cannot read it.
        ConversionError: It holds code, or what only its author has.

    """
    # Keras goes by the name's end; we went by the content.
    with path.open("rb") as file:
        named = folder / f"model.{'h5' if file.read(8) == hdf5.MARK else 'keras'}"
    if not named.is_symlink():
        named.symlink_to(path)
    try:
        return keras.saving.load_model(named, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, AttributeError) as e:
        raise _unreadable(path.name, e) from e
    except (zipfile.BadZipFile, EOFError, zlib.error) as e:
        raise MalformedError(f"{path.name}: damaged or cut short ({e}); save it again") from e


def _unreadable(name: str, error: BaseException) -> MalformedError | ConversionError:
    words = " ".join(str(e) for e in _chain(error))
    if "Lambda" in words:
        return ConversionError(
            f"{name}: a Lambda layer holds Python code, which is never run from a file; "
            "write it with Keras's own layers"
        )
    strange = re.search(r"Could not locate (?:class|function) '([^']+)'", words)
    if strange is not None:
        return ConversionError(
            f"{name}: has {strange[1]!r}, which Keras itself does not have, and code is never "
            "run from a file; write it with Keras's own layers"
        )
    return MalformedError(f"{name}: Keras cannot read it; save or copy it again: {one_line(error)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _declared(model: Any) -> program.Open:  # noqa: ANN401
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
    if source.dtype != "float32":
        raise ConversionError(f"expected an input of float32, found {source.dtype}")
    return tuple(source.shape)[1:]


def _layers(model: Any) -> dict[str, int]:  # noqa: ANN401
    flat = model._flatten_layers(include_self=False)  # noqa: SLF001 (Keras has no other way in)
    return dict(sorted(Counter(type(layer).__name__ for layer in flat).items()))


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


def _given(name: str) -> str | None:
    """Return ``name`` as an identifier, None if Keras made it up."""
    plain = re.sub(r"\W+", "_", name).strip("_")
    return None if re.fullmatch(rf"({'|'.join(_AUTOMATIC)})(_\d+)?", plain) else plain or None
