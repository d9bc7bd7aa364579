"""In a child: an ONNX model to a program, by onnx2tf; ONNX Runtime computes the true answers.

onnx2tf fetches pictures from the network unless they lie where it works, and ends the process
when it is at a loss: it is given random ones, and not let.
"""

import contextlib
import io
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.importers import layout, onnx_files, program, saving, signature
from littoral_converter.importers.layout import Samples
from littoral_converter.importers.onnx_files import Ends
from littoral_converter.importers.program import Job, Program
from littoral_converter.tf_converter import one_line
from littoral_converter.worker import Progress, Say

_PINNED: Final = "pinned.onnx"
_PICTURES: Final = "calibration_image_sample_data_20x128x128x3_float32.npy"


def run(job: Job, *, say: Say) -> Program:
    """Leave a program in the job's folder.

    Raises:
        MalformedError: The file is damaged.
        MisuseError: The samples have another shape than the model's input.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="loading the model"))
    model = onnx_files.load(job.model)
    ends = onnx_files.ends(model)
    first = layout.channels_first(ends.source, len(ends.shape) + 1, onnx_files.nodes(model))
    samples = np.load(job.samples, mmap_mode="r")
    given = layout.given(job, ends.shape, first=first, found=samples.shape[1:])
    pinned = job.folder / _PINNED
    onnx_files.pin(model, ends, given.shape, pinned)
    answers = _answers(pinned, ends, given.original(samples), say=say)
    say(Progress(stage="loading TensorFlow"))
    built = _build(pinned, ends, job.folder, keep=not given.first, say=say)
    names = {
        "source": saving.name(job.input_name, ends.source, otherwise="input"),
        "answer": saving.name(job.output_name, ends.answer, otherwise="output"),
    }
    _save_named(job.folder, given.program, **names)
    float_ = signature.give(built, **names)
    (job.folder / program.FLOAT).write_bytes(float_)
    order = _order(float_, answers, given, samples)
    np.save(job.folder / program.ANSWERS, np.transpose(answers, order))
    return Program(
        parameters=onnx_files.parameters(model),
        layers=dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        software=_software(),
        saved=True,
        axes=given.axes,
    )


def _answers(
    pinned: Path, ends: Ends, samples: NDArray[np.float32], *, say: Say
) -> NDArray[np.float32]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    try:
        session = onnxruntime.InferenceSession(
            str(pinned), options, providers=["CPUExecutionProvider"]
        )
        return saving.answers(
            lambda x: session.run([ends.answer], {ends.source: x})[0], samples, batch=1, say=say
        )
    # Its errors are classes of a native module, one a status, with no ancestor of their own.
    except Exception as e:
        raise ConversionError(f"ONNX Runtime cannot run the model: {one_line(e)}") from e


def _build(pinned: Path, ends: Ends, folder: Path, *, keep: bool, say: Say) -> bytes:
    """Return the model as float TFLite, and leave it as a SavedModel."""
    pictures = np.random.default_rng(0).random((20, 128, 128, 3), dtype=np.float32)
    np.save(folder / _PICTURES, pictures)
    words = io.StringIO()
    try:
        with contextlib.redirect_stdout(words), contextlib.chdir(folder):
            import onnx2tf

            say(Progress(stage="converting ONNX to TensorFlow"))
            onnx2tf.convert(
                input_onnx_file_path=str(pinned),
                output_folder_path=str(folder / "onnx2tf"),
                output_signaturedefs=True,
                not_use_onnxsim=True,
                keep_shape_absolutely_input_names=[ends.source] if keep else None,
                verbosity="error",
            )
    # It ends the process with sys.exit, and raises whatever its 150 operators raise.
    except (Exception, SystemExit) as e:
        raise ConversionError(
            f"onnx2tf cannot convert the model: {_words(words.getvalue()) or one_line(e)}"
        ) from e
    return (folder / "onnx2tf" / f"{pinned.stem}_float32.tflite").read_bytes()


def _words(said: str) -> str:
    """Return what onnx2tf called an error, without colours."""
    plain = re.sub(r"\x1b\[\d+m", "", said)
    lines = [line.strip() for line in plain.splitlines() if "ERROR:" in line]
    return " ".join(line.removeprefix("ERROR:").strip() for line in lines)[:300]


def _save_named(folder: Path, shape: tuple[int, ...], *, source: str, answer: str) -> None:
    """Write SAVED: onnx2tf's, with the names that were asked for."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "onnx2tf"))
    function = loaded.signatures["serving_default"]
    (taken,), (given,) = function.structured_input_signature[1], function.structured_outputs
    saving.save(
        lambda x: function(**{taken: x})[given],
        shape,
        folder / program.SAVED,
        tracked=loaded,
        source=source,
        answer=answer,
    )


def _order(
    model: bytes, answers: NDArray[np.float32], given: Samples, samples: NDArray[np.float32]
) -> tuple[int, ...]:
    """Return the axes in which the program gives its answers."""
    from littoral.model.backends import open_session

    session = open_session("litert", model)
    one = np.moveaxis(samples[:1], 1, -1) if given.axes else samples[:1]
    (found,) = session.run(np.ascontiguousarray(one))
    try:
        return layout.likest(answers[:1], found)
    except ValueError as e:
        raise ConversionError(f"onnx2tf made another model of it: {e}") from e


def _software() -> dict[str, str]:
    import onnx
    import onnxruntime
    import tensorflow as tf

    return saving.software(
        onnx=onnx.__version__,
        onnxruntime=onnxruntime.__version__,
        onnx2tf=version("onnx2tf"),
        tensorflow=tf.__version__,
    )
