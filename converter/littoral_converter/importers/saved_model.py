"""In a child: a SavedModel folder to a program, by the signature that is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral.errors import ConversionError, MalformedError, MisuseError
from littoral_converter.importers import constants, graphs, program, saving
from littoral_converter.importers.program import Job, Program
from littoral_converter.tf_converter import one_line, to_float
from littoral_converter.worker import Progress, Say

_USUAL: Final = "serving_default"
_HIDDEN: Final = "__saved_model_"


def run(job: Job, *, say: Say) -> Program:
    """Leave a program in the job's folder.

    Raises:
        MalformedError: TensorFlow cannot read the model.
        MisuseError: The samples have another shape, or there is no such signature.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="loading TensorFlow"))
    import tensorflow as tf

    say(Progress(stage="loading the model"))
    meta = _meta(job.model)
    name = choose(job.model.name, [k for k in meta.signature_def if _real(meta, k)], job.signature)
    graphs.check(job.model.name, meta, name)
    loaded = _load(tf, job.model)
    function = loaded.signatures[name]
    call, declared, found = _one(tf, function, name)
    samples = np.load(job.samples, mmap_mode="r")
    shape = program.fixed(declared[1:], job.shape, seen=job.seen)
    if declared[0] not in {None, 1}:
        raise ConversionError(
            f"signature {name!r}: the batch is fixed at {declared[0]}; save it with an open batch, "
            "tf.TensorSpec([None, …]), or one of 1"
        )
    saving.check(job, shape, samples)
    say(Progress(stage="exporting at batch 1"))
    saved = job.folder / program.SAVED
    saving.save(
        call,
        shape,
        saved,
        tracked=loaded,
        source=saving.name(job.input_name, found[0], otherwise="input"),
        answer=saving.name(job.output_name, found[1], otherwise="output"),
    )
    model = to_float(saved, say=say)
    (job.folder / program.FLOAT).write_bytes(model)
    batch = declared[0] or program.BATCH
    np.save(job.folder / program.ANSWERS, saving.answers(call, samples, batch=batch, say=say))
    return Program(
        parameters=constants.parameters(model),
        layers=constants.operators(model),
        software=saving.software(tensorflow=tf.__version__),
        saved=True,
    )


def choose(model: str, names: list[str], wanted: str | None) -> str:
    """Return the signature that is asked for.

    Raises:
        MisuseError: There is no such one, or several and none is the usual.
        ConversionError: There is none at all.

    """
    if not names:
        raise ConversionError(
            f"{model}: the SavedModel has no signature; save it with one: "
            "tf.saved_model.save(m, folder, signatures=f.get_concrete_function(…)), or "
            "model.export(folder) of Keras"
        )
    shown = ", ".join(sorted(names))
    if wanted is not None:
        if wanted not in names:
            raise MisuseError(f"{model}: no signature {wanted!r}; there are: {shown}")
        return wanted
    if _USUAL in names:
        return _USUAL
    if len(names) > 1:
        raise MisuseError(
            f"{model}: has the signatures {shown}, and none is {_USUAL!r}; name one in a recipe: "
            f"[input] signature = {min(names)!r}"
        )
    return names[0]


def _real(meta: Any, name: str) -> bool:  # noqa: ANN401
    return not name.startswith(_HIDDEN) and bool(meta.signature_def[name].outputs)


def _meta(folder: Path) -> Any:  # noqa: ANN401
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / "saved_model.pb").read_bytes())
        served = [meta for meta in model.meta_graphs if "serve" in meta.meta_info_def.tags]
    except (DecodeError, OSError, RecursionError) as e:
        raise MalformedError(f"{folder.name}: saved_model.pb is damaged: {one_line(e)}") from e
    if not served:
        raise MalformedError(
            f"{folder.name}: the SavedModel holds no graph for serving; save it again"
        )
    return served[0]


def _load(tf: Any, folder: Path) -> Any:  # noqa: ANN401
    try:
        return tf.saved_model.load(str(folder), tags=["serve"])
    except (
        *(ValueError, TypeError, LookupError, RuntimeError, AttributeError, OSError),
        *(AssertionError, tf.errors.OpError),
    ) as e:
        raise MalformedError(
            f"{folder.name}: TensorFlow cannot read it; save or copy it again, with its folder "
            f"variables: {one_line(e)}"
        ) from e


def _one(
    tf: Any,  # noqa: ANN401
    function: Any,  # noqa: ANN401
    name: str,
) -> tuple[Callable[[Any], Any], program.Open, tuple[str, str]]:
    """Return the signature as a callable of one tensor, its shape with the batch, and its names."""
    _, taken = function.structured_input_signature
    given = function.structured_outputs
    for what, found in (("inputs", taken), ("outputs", given)):
        if len(found) != 1:
            raise ConversionError(
                f"signature {name!r}: expected one input and one output, found {len(found)} {what}"
                f" ({', '.join(sorted(found))}); this version converts no other"
            )
    ((source, spec),), (answer,) = taken.items(), given
    if spec.dtype != tf.float32:
        raise ConversionError(
            f"signature {name!r}: expected an input of float32, found {spec.dtype.name}"
        )
    if spec.shape.rank is None or spec.shape.rank < 2:  # noqa: PLR2004
        raise ConversionError(
            f"signature {name!r}: expected an input of [batch, …], found {spec.shape}; save it with"
            " the shape that it takes, of which only the batch may be open"
        )
    return (lambda x: function(**{source: x})[answer]), tuple(spec.shape), (source, answer)
