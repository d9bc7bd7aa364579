"""Arrays as NumPy's files hold them: an .npy one, an .npz several. Python objects are never loaded.

Such files come from anywhere. A few packed bytes unpack to gigabytes, and a header names any shape:
so how large an array is gets compared with what may be, and with what is there, before it is read.
"""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from littoral.model.backends import Array

MOST_BYTES: Final = 512 * 2**20

_NPY: Final = b"\x93NUMPY"
_NPZ: Final = b"PK\x03\x04"
# What NumPy itself writes. Of the others zipfile unpacks at once whatever a piece of them holds.
_PACKED: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGED: Final = (
    EOFError,
    RuntimeError,  # among others, that it is under a passphrase
    TypeError,
    OverflowError,
    tokenize.TokenError,  # NumPy reads a header as Python's words
    zipfile.BadZipFile,
    zlib.error,
)


def check(size: int, *, most: int = MOST_BYTES) -> None:
    """See that so many bytes may be read. Raises ValueError."""
    if size > most:
        raise ValueError(f"expected at most {most} bytes, found {size}")


def one(path: Path) -> Array:
    """Return the array in an .npy.

    Raises:
        OSError: It cannot be read.
        ValueError: It is something else, or larger than ``MOST_BYTES``.

    """
    with _opened(path, other=_NPZ, why="expected an .npy, found an .npz: call it so") as file:
        size = path.stat().st_size
        check(size)
        return _array(file, size)


def names(path: Path) -> list[str]:
    """Return what the arrays in an .npz are called, in their order.

    Raises:
        OSError: It cannot be read.
        ValueError: It is something else.

    """
    with _archive(path) as held:
        return [name.removesuffix(".npy") for name in held.namelist() if name.endswith(".npy")]


def several(path: Path, wanted: Sequence[str], *, most: int = MOST_BYTES) -> dict[str, Array]:
    """Return the arrays of an .npz that are ``wanted``, which unpack to ``most`` bytes together.

    Raises:
        OSError: It cannot be read.
        ValueError: It is something else, or larger.

    """
    with _archive(path) as held:
        arrays: dict[str, Array] = {}
        for name in wanted:
            info = held.getinfo(f"{name}.npy")
            try:
                arrays[name] = _member(held, info, most=most)
            except ValueError as e:
                raise ValueError(f"{name}: {e}") from e
            most -= info.file_size
        return arrays


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    why = "expected an .npz, found an .npy: call it so"
    with _opened(path, other=_NPY, why=why) as file, zipfile.ZipFile(file) as held:
        yield held


@contextmanager
def _opened(path: Path, *, other: bytes, why: str) -> Iterator[IO[bytes]]:
    """``why``: what is said where it begins as the ``other`` kind of file does."""
    with path.open("rb") as file:
        if file.read(len(other)) == other:
            raise ValueError(why)
        file.seek(0)
        try:
            yield file
        except _DAMAGED as e:
            raise ValueError(f"it is damaged: {e}") from e


def _member(held: zipfile.ZipFile, info: zipfile.ZipInfo, *, most: int) -> Array:
    check(info.file_size, most=most)  # which is kept to: zipfile unpacks no byte more
    if info.compress_type not in _PACKED:
        raise ValueError("expected it stored or deflated, as NumPy packs it")
    with held.open(info) as file:
        return _array(file, info.file_size)


def _array(file: IO[bytes], size: int) -> Array:
    """Return the array in ``file``, of whose ``size`` bytes none is read yet."""
    shape, _, dtype = header(file)
    left = size - file.tell()
    if dtype.hasobject:
        raise ValueError("expected numbers or texts, found Python objects, which are never loaded")
    # Also elements without a byte are objects in memory as soon as they are listed.
    if min(shape, default=0) < 0 or math.prod(shape) * max(dtype.itemsize, 1) > left:
        raise ValueError(f"expected {list(shape)} of {dtype}, found {left} bytes")
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array


def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape of an array, whether its columns come first, and its kind.

    Raises:
        ValueError: It is none, or of a version that there is not.

    """
    match np.lib.format.read_magic(file):
        case (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        case (2, 0):
            return np.lib.format.read_array_header_2_0(file)
        case version:
            raise ValueError(f"expected version 1 or 2 of the format, found {version}")
