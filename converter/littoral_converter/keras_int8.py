"""In a child: a Keras 3 model to a SavedModel of batch 1, and that to INT8 and float TFLite.

The one module that imports TensorFlow. Beside the two models it leaves the float model's own
answers (Keras computes them, not the converter), so that whatever the export or the
quantizer breaks is seen.
"""

import platform
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MalformedError, MisuseError
from littoral_converter.worker import Progress, Say

INT8: Final = "int8.tflite"
FLOAT: Final = "float.tflite"
ANSWERS: Final = "float-answers.npy"
_BATCH: Final = 64
_MAX_WORDS: Final = 400
_AUTOMATIC: Final = ("keras_tensor", "input_layer", "functional", "sequential")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    model: Path
    folder: Path  # where INT8, FLOAT and ANSWERS go
    calibration: Path  # .npy of [n, …] float32
    samples: Path  # .npy of what the float model is asked
    io: Literal["int8", "uint8"]
    shape: tuple[int, ...] | None = None  # of one sample: pins what is dynamic
    input_name: str | None = None
    output_name: str | None = None
    dense_per_tensor: bool = False  # one scale for a dense layer's weights, not one a channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was found out on the way."""

    parameters: int
    layers: dict[str, int]  # how many of each class
    software: dict[str, str]


def convert(job: Job, *, say: Say) -> Built:
    """Write INT8, FLOAT and ANSWERS.

    Raises:
        MalformedError: Keras cannot read the model.
        MisuseError: The samples have another shape than the model's input.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="loading TensorFlow"))
    import keras
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    say(Progress(stage="loading the model"))
    model = _load(keras, job.model, job.folder)
    calibration = np.load(job.calibration, mmap_mode="r")
    samples = np.load(job.samples, mmap_mode="r")
    shape = _input_shape(model, job.shape, seen=calibration.shape[1:])
    for what, found in (("calibration", calibration), ("evaluation", samples)):
        _check_samples(what, found.shape[1:], shape)
    layers = _layers(model)
    say(Progress(stage="exporting at batch 1"))
    saved = job.folder / "saved-model"
    _export(keras, model, (1, *shape), saved, job)
    say(Progress(stage="converting to float TFLite"))
    try:
        (job.folder / FLOAT).write_bytes(
            tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
        )
        converter = _int8(tf, saved, calibration, io=job.io, say=say, hint=_hint(layers))
        # It has no public name, and no other way leads there.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = (  # noqa: SLF001
            job.dense_per_tensor
        )
        (job.folder / INT8).write_bytes(converter.convert())
    except (ValueError, RuntimeError, tf.errors.OpError, ConverterError) as e:
        raise ConversionError(f"TensorFlow cannot convert the model: {_one_line(e)}") from e
    np.save(job.folder / ANSWERS, _answers(model, samples, say=say))
    return Built(
        parameters=int(model.count_params()),
        layers=layers,
        software={
            "tensorflow": str(tf.__version__),
            "keras": str(keras.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )


def _load(keras: Any, path: Path, folder: Path) -> Any:  # noqa: ANN401
    # Keras goes by the name's end; we went by the content.
    named = folder / "model.keras"
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
    return MalformedError(
        f"{name}: Keras cannot read it; save or copy it again: {_one_line(error)}"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _input_shape(
    model: Any,  # noqa: ANN401
    pinned: tuple[int, ...] | None,
    *,
    seen: tuple[int, ...],
) -> tuple[int, ...]:
    """Return the shape of one sample: as declared, what is dynamic as the recipe pins it."""
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
    (declared,) = model.inputs
    if declared.dtype != "float32":
        raise ConversionError(f"expected an input of float32, found {declared.dtype}")
    sizes: tuple[int | None, ...] = tuple(declared.shape)[1:]
    if pinned is not None and not _fits(sizes, pinned):
        raise MisuseError(
            f"the recipe pins input.shape {list(pinned)}; the model has {_show(sizes)}"
        )
    if pinned is None and None in sizes:
        example = seen if _fits(sizes, seen) else [n or 224 for n in sizes]
        raise ConversionError(
            f"the input is {_show(sizes)}, and INT8 needs a fixed shape; pin it in a recipe: "
            f"[input] shape = {list(example)}"
        )
    return pinned or tuple(n for n in sizes if n is not None)


def _fits(declared: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(declared) == len(shape) and all(
        d is None or d == n for d, n in zip(declared, shape, strict=True)
    )


def _show(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('?' if n is None else str(n) for n in shape)}]"


def _check_samples(what: str, found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if found == shape:
        return
    hint = "; add the last axis: x[..., None]" if (*found, 1) == shape else ""
    raise MisuseError(
        f"{what}: expected samples of {list(shape)}, as the model takes them, found "
        f"{list(found)}{hint}"
    )


def _layers(model: Any) -> dict[str, int]:  # noqa: ANN401
    flat = model._flatten_layers(include_self=False)  # noqa: SLF001 (Keras has no other way in)
    return dict(sorted(Counter(type(layer).__name__ for layer in flat).items()))


def _hint(layers: dict[str, int]) -> str:
    loops = sorted({"LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "RNN"} & layers.keys())
    if not loops:
        return ""
    return (
        f"its recurrent layers ({', '.join(loops)}) become loops, on which TensorFlow's calibrator "
        "crashes: build them with unroll=True and load the same weights"
    )


def _export(keras: Any, model: Any, shape: tuple[int, ...], saved: Path, job: Job) -> None:  # noqa: ANN401
    source = job.input_name or _given(model.inputs[0].name) or "input"
    answer = job.output_name or _given(model.layers[-1].name) or "output"
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


def _int8(
    tf: Any,  # noqa: ANN401
    saved: Path,
    calibration: NDArray[np.float32],
    *,
    io: str,
    say: Say,
    hint: str,
) -> Any:  # noqa: ANN401
    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for done, sample in enumerate(calibration):
            say(Progress(stage="calibrating", done=done, of=len(calibration), hint=hint))
            yield [sample[None]]
        say(Progress(stage="quantizing", hint=hint))

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, io)
    return converter


def _answers(model: Any, samples: NDArray[np.float32], *, say: Say) -> NDArray[np.float32]:  # noqa: ANN401
    batch = model.inputs[0].shape[0] or _BATCH
    answers = []
    for at in range(0, len(samples), batch):
        say(Progress(stage="asking the float model", done=at, of=len(samples)))
        answers.append(np.asarray(model(samples[at : at + batch], training=False), np.float32))
    return np.concatenate(answers)


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}…"
