"""In a child: a TF.js graph model, and a page that runs it and checks itself.

The page takes TensorFlow.js from a file beside it; none is brought along and none is fetched
unless a person asks for it, and in either case only the bytes of one release are run.
"""

import json
import shutil
import sys
import types
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral import records
from littoral.bundle.manifest import Tensor
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import ConversionError
from littoral_converter.targets import graph_model
from littoral_converter.tf_converter import one_line
from littoral_converter.worker import Progress, Say

Weights = Literal["float32", "float16", "uint16", "uint8"]
ANSWERS: Final = "browser-answers.npy"
PAGE: Final = Path(__file__).parent.parent / "templates/browser"
ABOUT: Final = "about.json"
EXAMPLES: Final = "examples.bin"
_MOST_BYTES: Final = 2**20  # of examples, beyond the first
_EVERY: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    saved: Path  # of batch 1
    folder: Path  # where ANSWERS goes
    out: Path  # the page's folder, to be made
    samples: Path  # .npy of [n, …] float32, as the program takes them
    answers: Path  # .npy: the float model's, which the page compares with
    name: str
    label: str
    task: str
    input: Tensor
    output: Tensor
    preprocessing: Preprocessing | None
    labels: tuple[str, ...] | None
    weights: Weights
    examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    checked: bool  # false: TensorFlow cannot run what TF.js can
    examples: int
    software: dict[str, str]


def run(job: Job, *, say: Say) -> Made:
    """Write the page's folder, and what its model answers to the samples.

    Raises:
        ConversionError: TF.js has no such operator.

    """
    say(Progress(stage="loading TensorFlow"))
    convert = _converter()
    say(Progress(stage="writing the TF.js model"))
    types_ = {} if job.weights == "float32" else {job.weights: True}
    try:
        convert(
            str(job.saved),
            str(job.out),
            quantization_dtype_map=types_,
            use_structured_outputs_names=True,
        )
    except Exception as e:  # it raises whatever it meets
        raise ConversionError(f"target browser: TF.js cannot take it: {one_line(e)}") from e
    _sort(job.out / "model.json")
    samples, answers = np.load(job.samples, mmap_mode="r"), np.load(job.answers)
    count = _fitting(job, samples, answers)
    _write_page(job, samples[:count], answers[:count])
    return Made(
        checked=_check(job, samples, say=say),
        examples=count,
        software={"tensorflowjs": metadata.version("tensorflowjs")},
    )


def _converter() -> Any:  # noqa: ANN401
    # Its package imports what only forests of decision trees need, its converter of JAX, and what
    # setuptools is giving up. JAX is here only with the extra `torch`.
    _stand_in("tensorflow_decision_forests")
    _stand_in("tensorflowjs.converters.jax_conversion", convert_jax=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model

    return convert_tf_saved_model


def _stand_in(name: str, **held: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(held)
    sys.modules.setdefault(name, module)


def _sort(path: Path) -> None:
    """Write the JSON in ``path`` with its keys in order: its writer's are in another every time."""
    path.write_text(json.dumps(json.loads(path.read_bytes()), sort_keys=True))


def _fitting(job: Job, samples: NDArray[np.float32], answers: NDArray[np.float32]) -> int:
    """Return how many examples the page gets."""
    size = samples[0].nbytes + answers[0].nbytes
    return min(job.examples, len(samples), max(1, int(_MOST_BYTES // size)))


def _write_page(job: Job, samples: NDArray[np.float32], answers: NDArray[np.float32]) -> None:
    for file in sorted(PAGE.iterdir()):
        shutil.copyfile(file, job.out / file.name)
    about = {
        "model": job.name,
        "label": job.label,
        "task": job.task,
        "input": {"name": job.input.name, "shape": job.input.shape},
        "output": {"name": job.output.name, "shape": answers.shape[1:]},
        "preprocessing": records.plain(job.preprocessing),
        "normalization": None if job.preprocessing is None else job.preprocessing.normalization,
        "labels": job.labels,
        "weights": job.weights,
        "examples": len(samples),
        # What shorter weights may move is shown and not judged; full ones move rounding alone.
        "tolerance": 1e-3 if job.weights == "float32" else None,
    }
    (job.out / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1))
    both = (np.ascontiguousarray(part, "<f4").tobytes() for part in (samples, answers))
    (job.out / EXAMPLES).write_bytes(b"".join(both))


def _check(job: Job, samples: NDArray[np.float32], *, say: Say) -> bool:
    try:
        model = graph_model.GraphModel(job.out)
    except graph_model.UnknownOperatorError:
        return False
    found = []
    for done, sample in enumerate(samples):
        if done % _EVERY == 0:
            say(Progress(stage="asking the TF.js model", done=done, of=len(samples)))
        found.append(model(sample[None])[0])
    np.save(job.folder / ANSWERS, np.stack(found))
    return True
