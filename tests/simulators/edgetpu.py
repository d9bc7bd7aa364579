"""A libedgetpu.so.1 whose faults the test chooses: edgetpu.c says which there are."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path, *faults: str) -> Path:
    """Return a folder for LD_LIBRARY_PATH with the library in it; skip without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    made = folder / "-".join(("edgetpu", *faults))
    made.mkdir(exist_ok=True)
    words = [compiler, "-O1", "-shared", "-fPIC", "-Wall", *(f"-D{fault}" for fault in faults)]
    subprocess.run([*words, "-o", made / "libedgetpu.so.1", SOURCE], check=True)
    return made
