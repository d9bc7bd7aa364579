"""Which importer a step is, and which packages must be there before it is started.

A child is no place to say that a package is missing: that is known before.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from littoral.errors import MissingExtraError
from littoral_converter.source import Kind

STEPS: Final = {
    Kind.KERAS3: "import-keras",
    Kind.KERAS2: "import-keras2",
    Kind.HDF5: "import-keras2",
    Kind.SAVED_MODEL: "import-saved-model",
    Kind.ONNX: "import-onnx",
    Kind.TORCH: "import-torch",
    Kind.TFLITE: "import-tflite",
}
INSTALL: Final = (
    f"pip install --no-deps -r {Path(__file__).parents[1] / 'without-dependencies.txt'}"
)
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
                then=INSTALL,
            )
    return step
