"""In a child: a SavedModel as TensorFlow Serving takes it, with requests to warm it up.

``<release>/`` is a version of the server's. One signature, named inputs and outputs, any batch:
where the framework's own model is at hand it is exported anew with an open batch; where only a
program of batch 1 is, its samples are taken one by one inside the graph.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.targets import warmup
from littoral_converter.tf_converter import one_line
from littoral_converter.worker import Progress, Say

SIGNATURE: Final = "serving_default"
ANSWERS: Final = "serving-answers.npy"
_BATCH: Final = 16  # of the last request for warming up, and of those that judge the model
_OTHER: Final = 3  # a batch that nothing was made for


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    saved: Path  # of batch 1
    keras: Path | None  # the .keras file, where that is what was given
    folder: Path  # where ANSWERS goes, and the export below
    out: Path  # the version's folder, to be made
    samples: Path  # .npy of [n, …] float32, as the program takes them
    model: str
    input_name: str
    output_name: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    batched: bool  # false: one by one inside
    requests: int
    software: dict[str, str]


def run(job: Job, *, say: Say) -> Made:
    """Write the version's folder, and what it answers to the samples.

    Raises:
        ConversionError: TensorFlow cannot write it, or it takes no batch.

    """
    say(Progress(stage="loading TensorFlow"))
    import tensorflow as tf

    samples = np.load(job.samples, mmap_mode="r")
    say(Progress(stage="exporting for TensorFlow Serving"))
    try:
        batched = job.keras is not None and _export(job, samples.shape[1:])
        if not batched:
            _wrap(tf, job, samples.shape[1:])
        requests = _warm_up(tf, job, samples)
        np.save(job.folder / ANSWERS, _answers(tf, job, samples, say=say))
    except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as e:
        raise ConversionError(f"target serving: TensorFlow says {one_line(e)}") from e
    return Made(
        batched=batched,
        requests=requests,
        software={"tensorflow": metadata.version("tensorflow-cpu" if _cpu() else "tensorflow")},
    )


def _cpu() -> bool:
    try:
        metadata.version("tensorflow-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True


def _export(job: Job, shape: tuple[int, ...]) -> bool:
    """Export the model anew with an open batch; return whether it takes one."""
    import keras

    from littoral_converter.importers.keras import load

    assert job.keras is not None  # noqa: S101 (the caller looked)
    model = load(keras, job.keras, job.folder)
    if model.inputs[0].shape[0] is not None:
        return False
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        SIGNATURE,
        lambda x: {job.output_name: model(x, training=False)},
        input_signature=[
            keras.InputSpec(shape=(None, *shape), dtype="float32", name=job.input_name)
        ],
    )
    archive.write_out(str(job.out), verbose=False)
    return True


def _wrap(tf: Any, job: Job, shape: tuple[int, ...]) -> None:  # noqa: ANN401
    """Save the program of batch 1 as one that takes any, sample after sample."""
    loaded = tf.saved_model.load(str(job.saved))
    program = loaded.signatures[SIGNATURE]
    (source,) = program.structured_input_signature[1]
    (answer,) = program.structured_outputs.values()

    def one(sample: Any) -> Any:  # noqa: ANN401 (a tensor)
        (found,) = program(**{source: sample[None]}).values()
        return found[0]

    def each(batch: Any) -> dict[str, Any]:  # noqa: ANN401
        spec = tf.TensorSpec(answer.shape[1:], answer.dtype)
        return {job.output_name: tf.map_fn(one, batch, fn_output_signature=spec)}

    takes = tf.TensorSpec((None, *shape), tf.float32, name=job.input_name)
    serve = tf.function(each, input_signature=[takes], autograph=False)
    module = tf.Module()
    module.loaded, module.serve = loaded, serve
    tf.saved_model.save(module, str(job.out), signatures={SIGNATURE: serve})


def _warm_up(tf: Any, job: Job, samples: NDArray[np.float32]) -> int:  # noqa: ANN401
    """Write the requests: one sample each, then a batch, for kernels are chosen by its size."""
    asked = [samples[k : k + 1] for k in range(min(job.requests, len(samples)))]
    if job.requests:
        asked.append(samples[:_BATCH])
    path = job.out / warmup.PLACE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as file:
        for batch in asked:
            tensor = tf.make_tensor_proto(batch).SerializeToString(deterministic=True)
            file.write(
                warmup.request(
                    model=job.model, signature=SIGNATURE, source=job.input_name, tensor=tensor
                )
            )
    return len(asked)


def _answers(
    tf: Any,  # noqa: ANN401
    job: Job,
    samples: NDArray[np.float32],
    *,
    say: Say,
) -> NDArray[np.float32]:
    """Load what was written as a server does, and ask it in batches of different sizes."""
    loaded = tf.saved_model.load(str(job.out))
    serve = loaded.signatures[SIGNATURE]
    found: list[NDArray[np.float32]] = []
    for part in _batches(len(samples)):
        say(Progress(stage="asking the SavedModel", done=part.start, of=len(samples)))
        asked = tf.constant(samples[part])
        found.append(np.asarray(serve(**{job.input_name: asked})[job.output_name]))
    return np.concatenate(found)


def _batches(count: int) -> Iterator[slice]:
    """Walk parts of ``count`` samples: one, then a batch that nothing was made for, then more."""
    at = 0
    for size in itertools.chain((1, _OTHER), itertools.repeat(_BATCH)):
        if at >= count:
            return
        yield slice(at, at + size)
        at += size
