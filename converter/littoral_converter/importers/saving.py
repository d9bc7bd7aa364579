"""A TensorFlow callable to a program's SavedModel: batch 1, one signature with the wanted names."""

import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.importers import program
from littoral_converter.worker import Progress, Say

_TOLD: Final = 64  # samples between two words about progress, or a multiple of it
_AUTOMATIC: Final = (
    "args",
    "conv2d",
    "dense",
    "functional",
    "identity",
    "input",
    "inputs",
    "input_layer",
    "keras_tensor",
    "output",
    "sequential",
    "softmax",
    "statefulpartitionedcall",
)


def name(wanted: str | None, found: str | None, *, otherwise: str) -> str:
    """Return what an input or output is called: as wanted, else as its author had it."""
    plain = re.sub(r"\W+", "_", wanted or found or "").strip("_")
    if wanted is None and re.fullmatch(rf"({'|'.join(_AUTOMATIC)})?(_\d+)*", plain.lower()):
        return otherwise
    return plain if plain and not plain[0].isdigit() else otherwise


def save(
    call: Callable[[Any], Any],
    shape: tuple[int, ...],
    saved: Path,
    *,
    tracked: object,
    source: str,
    answer: str,
) -> None:
    """Write ``call``, which takes and gives one tensor; ``tracked`` holds its variables."""
    import tensorflow as tf

    module = tf.Module()
    module.tracked = tracked
    signatures = {"serving_default": concrete(call, shape, source=source, answer=answer)}
    tf.saved_model.save(module, str(saved), signatures=signatures)


def concrete(
    call: Callable[[Any], Any], shape: tuple[int, ...], *, source: str, answer: str
) -> Any:  # noqa: ANN401
    """Return ``call``, which takes and gives one tensor, as a concrete function of batch 1."""
    import tensorflow as tf

    spec = tf.TensorSpec((1, *shape), tf.float32, name=source)
    serve = tf.function(lambda x: {answer: call(x)}, input_signature=[spec])
    return serve.get_concrete_function()


def graphed(model: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    """Return a Keras model of either kind as one graph: it takes half the time of its layers."""
    import tensorflow as tf

    spec = tf.TensorSpec(model.inputs[0].shape, tf.float32)
    return tf.function(lambda x: model(x, training=False), input_signature=[spec])  # type: ignore[no-any-return]


def answers(
    call: Callable[[Any], Any], samples: NDArray[np.float32], *, batch: int, say: Say
) -> NDArray[np.float32]:
    """Return what ``call`` answers to all ``samples``, asked for ``batch`` of them at once."""
    found = []
    for at in range(0, len(samples), batch):
        if at % _TOLD == 0:
            say(Progress(stage="asking the float model", done=at, of=len(samples)))
        found.append(np.asarray(call(np.array(samples[at : at + batch], order="C")), np.float32))
    return np.concatenate(found)


def software(**versions: str) -> dict[str, str]:
    """Return ``versions``, and those of what every importer stands on."""
    return versions | {"numpy": np.__version__, "python": platform.python_version()}


def check(job: program.Job, shape: tuple[int, ...], samples: NDArray[np.float32]) -> None:
    """Do nothing if all samples are of ``shape``.

    Raises:
        MisuseError: They are not.

    """
    program.check_samples("calibration", job.seen, shape)
    program.check_samples("evaluation", samples.shape[1:], shape)
