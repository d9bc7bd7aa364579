"""A libedgetpu.so.1 whose faults the test chooses: edgetpu.c says which there are."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "libedgetpu.so.1"


def build(folder: Path, *faults: str) -> Path:
    """Return a folder for LD_LIBRARY_PATH with the library in it; skip without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    made = folder / "-".join(("edgetpu", *faults))
    made.mkdir(exist_ok=True)
    words = [compiler, "-O1", "-shared", "-fPIC", "-Wall", *(f"-D{fault}" for fault in faults)]
    subprocess.run([*words, "-o", made / LIBRARY, SOURCE], check=True)
    return made


def answer(asked: bytes, size: int) -> bytes:
    """Return what an operator that the library runs gives for ``asked``."""
    found = 2166136261
    for byte in asked:
        found = (found ^ byte) * 16777619 % 2**32
    return bytes(found >> 8 * (at % 4) & 255 for at in range(size))


class Sticks:
    """What is plugged in, and what is wrong with it now; a library built here looks at it."""

    def __init__(self, library: Path) -> None:
        self.library = library

    def plug(self, *ports: str) -> None:
        """Let exactly these be plugged in: "usb 2-1", "pci apex_0"; the order is the library's."""
        self._write("devices", "".join(f"{port}\n" for port in ports))

    def fault(self, words: str) -> None:
        """Let each inference do as edgetpu.c says; empty: it is sound again."""
        self._write("fault", words)

    def version(self, number: int) -> None:
        self._write("version", str(number))

    def _write(self, name: str, text: str) -> None:
        part = self.library / f"{name}.part"
        part.write_text(text)
        part.replace(self.library / name)


def plugged(library: Path) -> Sticks:
    """Return one stick, which is sound."""
    found = Sticks(library)
    found.plug("usb 2-1")
    found.fault("")
    found.version(14)
    return found
