"""Samples from .npz and .npy files, one after the other: never unpickled, never all in memory."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.durable import storage_errors
from littoral.errors import MalformedError
from littoral.model import npy
from littoral_converter.samples import asked
from littoral_converter.samples.asked import Asked, Found, Rows, SamplesError
from littoral_converter.worker import Progress, Say

NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
_EVERY: Final = 256  # samples between two words about progress
_DAMAGED: Final = (
    ValueError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    NotImplementedError,
    zlib.error,
)


def read(path: Path, want: Asked, *, into: Path | None, say: Say) -> Found:
    """Return the samples of ``path``, an .npz with x, and y and labels if known, or an .npy of x.

    Raises:
        MalformedError: It is damaged, or what it holds cannot be samples.

    """
    with storage_errors(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        with _errors(path):
            if file.read(len(NPY)) == NPY:
                file.seek(0)
                return _read(file, path.stat().st_size, {}, want, into=into, say=say, digest=digest)
            with zipfile.ZipFile(file) as archive:
                sizes = {info.filename: info.file_size for info in archive.infolist()}
                if "x.npy" not in sizes:
                    names = ", ".join(name.removesuffix(".npy") for name in sizes)
                    raise SamplesError(f"no array 'x'; there are: {names or 'none'}")
                _check_size(sum(sizes.values()))
                beside = {k: _small(archive, k) for k in ("y", "labels") if f"{k}.npy" in sizes}
                with archive.open("x.npy") as x:
                    size = sizes["x.npy"]
                    return _read(x, size, beside, want, into=into, say=say, digest=digest)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except SamplesError as e:
        raise MalformedError(f"{path}: {e}") from e
    except _DAMAGED as e:
        hint = "Python objects are never loaded" if "pickle" in str(e) else str(e)
        raise MalformedError(f"{path}: expected arrays of numbers: {hint}") from e


def _check_size(size: int) -> None:
    if size > asked.MAX_BYTES:
        raise SamplesError(f"expected at most {asked.MAX_BYTES} bytes, found {size}")


def _small(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        found: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _read(
    file: IO[bytes],
    size: int,
    beside: dict[str, NDArray[Any]],
    want: Asked,
    *,
    into: Path | None,
    say: Say,
    digest: str,
) -> Found:
    _check_size(size)
    shape, fortran, dtype, header = _header(file)
    if dtype.hasobject:
        raise ValueError("pickle")
    if dtype.kind not in "fiub":
        raise SamplesError(f"x: expected numbers, found {dtype}")
    if len(shape) < 2 or 0 in shape:  # noqa: PLR2004
        raise SamplesError(f"x: expected at least one sample, as [samples, …], found {list(shape)}")
    if header + int(np.prod(shape, dtype=object)) * dtype.itemsize != size:
        raise SamplesError(f"x: expected {list(shape)} of {dtype}, found {size - header} bytes")
    numbers = asked.targets(beside["y"], shape[0]) if "y" in beside else None
    known = "y" in beside and numbers is None
    y = asked.classes(beside["y"], shape[0]) if known else None
    labels = _labels(beside["labels"]) if "labels" in beside else None
    chosen = want.choice(y, shape[0])
    rows = Rows(len(chosen), into)
    every = _whole(file, shape, dtype) if fortran else _rows(file, shape, dtype)
    wanted = set(chosen.tolist())
    for number, row in enumerate(every):
        if number % _EVERY == 0:
            say(Progress(stage="reading samples", done=number, of=shape[0]))
        if number in wanted:
            rows.add(row, name=f"x: sample {number}")
    return Found(
        x=rows.done(),
        y=None if y is None else y[chosen],
        targets=None if numbers is None else numbers[chosen],
        labels=labels,
        sha256=digest,
        of=shape[0],
    )


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order and kind of an array, and how many bytes said so."""
    start = file.tell()
    shape, fortran, dtype = npy.header(file)
    if min(shape, default=0) < 0:
        raise SamplesError(f"x: expected at least one sample, found {list(shape)}")
    return shape, fortran, dtype, file.tell() - start


def _rows(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    row = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
    for _ in range(shape[0]):
        data = file.read(row)
        if len(data) != row:
            raise EOFError("it ends early")
        yield np.frombuffer(data, dtype).reshape(shape[1:])


def _whole(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array that is stored the other way round, so that a sample lies all over it."""
    values = np.frombuffer(file.read(), dtype)
    return values.reshape(shape[::-1]).transpose()


def _labels(labels: NDArray[Any]) -> tuple[str, ...]:
    if labels.ndim != 1 or labels.dtype.kind not in "US":
        raise SamplesError(f"labels: expected a list of names, found {labels.dtype}")
    return asked.names(str(name) for name in labels.astype(str))
