"""MobileNet 0.25 at 128 x 128, INT8: what the memory figures are measured with.

Memory is a matter of shapes, so the weights may be anything: they are random, and need no
download. It is made once, and kept in build/boot.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from boot.trees import ROOT, STORE

_MADE: Final = STORE / "mobilenet-0.25-128.tflite"


def mobilenet(given: Path | None) -> Path:
    """Return the model ``given``, else one of our own making."""
    if given is not None:
        return given
    if not _MADE.exists():
        STORE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "boot.mobilenet", str(_MADE)],
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests"), "KERAS_BACKEND": "tensorflow"},
        )
    return _MADE


def make(path: Path) -> None:
    import keras
    import numpy as np

    from fixtures.make_models import converted

    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNet((128, 128, 3), alpha=0.25, weights=None, classes=1001)
    images = np.random.default_rng(0).random((100, 128, 128, 3), np.float32)
    path.write_bytes(converted(model, {model.inputs[0].name: images}))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
