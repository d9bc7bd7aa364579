"""Where the pairs of ``training.py`` lie: it is run, in a process of its own, where they do not."""

import subprocess
import sys
from pathlib import Path
from typing import Final

_FOLDERS: Final = {"small": Path("build/delta"), "large": Path("build/delta/large")}
SHAPES: Final = tuple(_FOLDERS)
_HERE: Final = Path(__file__).parent


def trained(shape: str) -> Path:
    """Return the folder with base.tflite and its successors; takes minutes, once."""
    folder = _HERE.parents[1] / _FOLDERS[shape]
    if not (folder / "anew.tflite").exists():  # the last one that is written
        command = (sys.executable, str(_HERE / "training.py"), str(folder), shape)
        subprocess.run(command, check=True, capture_output=True)
    return folder
