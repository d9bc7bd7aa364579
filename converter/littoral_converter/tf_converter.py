"""TensorFlow's converter, in a child: a SavedModel of batch 1 to float TFLite, or to integers.

Integers by it are for what ai-edge-quantizer cannot: fused LSTMs. The rest is
littoral_converter.ptq's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.importers import signature
from littoral_converter.worker import Progress, Say

_MAX_WORDS: Final = 400
_HALVES: Final = re.compile(r"x?b?f16>")  # a tensor of them, as MLIR writes it
_IN_HALVES: Final = (
    "the model computes in halves (float16 or bfloat16), which TFLite has no operators for: give "
    "the .keras or HDF5 file that it was saved from, which is converted as if in float32; or build "
    'it with keras.config.set_dtype_policy("float32"), give it the same weights, and save it again'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    saved: Path
    out: Path
    calibration: Path  # .npy of [n, …] float32
    io: Literal["int8", "uint8"]
    dense_per_tensor: bool = False  # one scale for a dense layer's weights, not one a channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    bytes: int


def to_float(saved: Path, *, say: Say) -> bytes:
    """Return the SavedModel as float TFLite.

    Raises:
        ConversionError: TensorFlow cannot; its words say why.

    """
    import tensorflow as tf

    say(Progress(stage="converting to float TFLite"))
    return _convert(tf.lite.TFLiteConverter.from_saved_model(str(saved)))


def freeze(function: Any, *, source: str, answer: str, say: Say) -> bytes:  # noqa: ANN401
    """Return a concrete function of one tensor as float TFLite, its variables constants in it.

    It is what ``to_float`` makes of the same function's SavedModel, in a sixth of the time.

    Raises:
        ConversionError: TensorFlow cannot, as where it has tables; a SavedModel may be the way.

    """
    import tensorflow as tf

    say(Progress(stage="converting to float TFLite"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.experimental_lower_to_saved_model = False
    return signature.give(_convert(converter), source=source, answer=answer)


def to_integers(job: Job, *, say: Say) -> Done:
    """Write the SavedModel to ``out`` as INT8 TFLite.

    Raises:
        ConversionError: TensorFlow cannot; its words say why.

    """
    say(Progress(stage="loading TensorFlow"))
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(job.saved))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    seen = np.load(job.calibration, mmap_mode="r")
    converter.representative_dataset = lambda: _told(seen, say=say)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, job.io)
    # It has no public name, and no other way leads there.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = (  # noqa: SLF001
        job.dense_per_tensor
    )
    return Done(bytes=job.out.write_bytes(_convert(converter)))


def one_line(error: BaseException) -> str:
    """Return a framework's words as one line of a bearable length."""
    words = " ".join(str(error).split())
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}…"


def _convert(converter: Any) -> bytes:  # noqa: ANN401
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    try:
        return bytes(converter.convert())
    except (ValueError, RuntimeError, tf.errors.OpError, ConverterError) as e:
        if _HALVES.search(str(e)):
            raise ConversionError(_IN_HALVES) from e
        raise ConversionError(f"TensorFlow cannot convert the model: {one_line(e)}") from e


def _told(calibration: NDArray[np.float32], *, say: Say) -> Iterator[list[NDArray[np.float32]]]:
    for done, sample in enumerate(calibration):
        say(Progress(stage="calibrating", done=done, of=len(calibration)))
        yield [sample[None]]
    say(Progress(stage="quantizing"))
