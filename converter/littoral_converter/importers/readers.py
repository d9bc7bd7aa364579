"""Which importer a step is, and which packages must be there before it is started.

A child is no place to say that a package is missing: that is known before.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from littoral.errors import MissingExtraError
from littoral_converter.importers.program import Job, Program
from littoral_converter.source import Kind
from littoral_converter.worker import Say

STEPS: Final = {
    Kind.KERAS3: "import-keras",
    Kind.KERAS2: "import-keras2",
    Kind.HDF5: "import-keras2",
    Kind.SAVED_MODEL: "import-saved-model",
    Kind.ONNX: "import-onnx",
    Kind.TORCH: "import-torch",
    Kind.TFLITE: "import-tflite",
}
_UNBOUND: Final = Path(__file__).parents[1] / "without-dependencies.txt"
_NEEDS: Final = {  # beside what 'littoral convert' itself needs
    "import-keras2": ("h5py", "tf_keras"),
    "import-onnx": ("onnx", "onnxruntime", "onnx2tf", "onnxsim", "sng4onnx"),
    "import-torch": ("torch", "litert_torch"),
}


def need(kind: Kind) -> str:
    """Return the step that reads models of ``kind``, all packages of which are there.

    Raises:
        MissingExtraError: One is not; says the commands that install it.

    """
    step = STEPS[kind]
    for package in _NEEDS.get(step, ()):
        if find_spec(package) is None:
            extra = "converter,torch" if kind is Kind.TORCH else "converter"
            raise MissingExtraError(
                f"reading {kind}",
                extra=extra,
                missing=package,
                then=f"pip install --no-deps -r {_UNBOUND}",
            )
    return step


def run(step: str, job: Job, *, say: Say) -> Program:
    """Do ``step`` in this process, and leave a program in the job's folder.

    Raises:
        LittoralError: The model cannot be read; says what to do.

    """
    match step:
        case "import-keras":
            from littoral_converter.importers import keras

            return keras.run(job, say=say)
        case "import-keras2":
            from littoral_converter.importers import keras2

            return keras2.run(job, say=say)
        case "import-saved-model":
            from littoral_converter.importers import saved_model

            return saved_model.run(job, say=say)
        case "import-onnx":
            from littoral_converter.importers import onnx

            return onnx.run(job, say=say)
        case "import-torch":
            from littoral_converter.importers import torch

            return torch.run(job, say=say)
        case "import-tflite":
            from littoral_converter.importers import tflite

            return tflite.run(job, say=say)
        case _:
            raise ValueError(f"no step {step!r}")
