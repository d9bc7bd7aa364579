"""Samples, and their true classes where they are known, from .npz and .npy files.

Reads strictly and never unpickles; refuses to know what the samples are for.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.durable import storage_errors
from littoral.errors import MalformedError, MisuseError

MAX_BYTES: Final = 8 * 2**30
_KEYS: Final = ("x", "y", "labels")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """``x`` is [n, …] float32, in the scale that the model takes; ``y`` is [n] int64."""

    name: str
    sha256: str
    x: NDArray[np.float32]
    y: NDArray[np.int64] | None = None
    labels: tuple[str, ...] | None = None  # the names of the classes, in order

    def __len__(self) -> int:
        return len(self.x)


def read(path: Path) -> Data:
    """Return the samples in ``path``.

    Raises:
        MisuseError: There is no such file, or it is of a kind that is not read.
        MalformedError: It is damaged, or what it holds cannot be samples.

    """
    with storage_errors(path):
        if not path.exists():
            raise MisuseError(f"no data {path}: there is no such file")
        if path.is_dir():
            raise MisuseError(
                f"{path} is a folder; expected .npz (x, and y where the classes are known) or "
                ".npy (x alone): folders of images are not read by this version"
            )
        arrays = _arrays(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        x = _samples(arrays)
        y = _classes(arrays["y"], len(x)) if "y" in arrays else None
        labels = _labels(arrays["labels"]) if "labels" in arrays else None
    except ValueError as e:
        raise MalformedError(f"{path}: {e}") from e
    return Data(name=path.name, sha256=digest, x=x, y=y, labels=labels)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        head = file.read(8)
    try:
        if head[:6] == b"\x93NUMPY":
            _check_size(path, path.stat().st_size)
            return {"x": np.load(path, allow_pickle=False)}
        if head[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                _check_size(path, sum(info.file_size for info in archive.infolist()))
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in _KEYS if name in archive} or _no_x(archive)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as e:
        hint = "Python objects are never loaded" if "pickle" in str(e) else str(e)
        raise MalformedError(f"{path}: expected arrays of numbers: {hint}") from e
    raise MalformedError(
        f"{path}: expected .npz (x, and y where the classes are known) or .npy (x alone), "
        f"found something that begins with {head!r}"
    )


def _no_x(archive: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    raise ValueError(f"no array 'x'; there are: {', '.join(archive) or 'none'}")


def _check_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise MalformedError(f"{path}: expected at most {MAX_BYTES} bytes, found {size}")


def _samples(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    if "x" not in arrays:
        raise ValueError(f"no array 'x'; there are: {', '.join(arrays)}")
    x = arrays["x"]
    if x.dtype.kind not in "fiub":
        raise ValueError(f"x: expected numbers, found {x.dtype}")
    if x.ndim < 2 or len(x) == 0 or 0 in x.shape:  # noqa: PLR2004
        raise ValueError(f"x: expected at least one sample, as [samples, …], found {list(x.shape)}")
    found = np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(found).all():
        first = int(np.argmin(np.isfinite(found).reshape(len(found), -1).all(axis=1)))
        raise ValueError(f"x: sample {first} holds NaN or infinity")
    return found


def _classes(y: NDArray[Any], samples: int) -> NDArray[np.int64]:
    if len(np.atleast_1d(y)) != samples:
        raise ValueError(f"y: expected {samples} classes, one a sample, found {list(y.shape)}")
    if y.ndim == 2 and y.shape[1] == 1:  # noqa: PLR2004
        y = y[:, 0]
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():  # noqa: PLR2004
        y = y.argmax(axis=1)  # one hot
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"y: expected whole numbers, found {y.dtype} {list(y.shape)}")
    if y.min() < 0:
        raise ValueError(f"y: expected classes of 0 and above, found {int(y.min())}")
    return y.astype(np.int64)


def _labels(labels: NDArray[Any]) -> tuple[str, ...]:
    if labels.ndim != 1 or labels.dtype.kind not in "US":
        raise ValueError(f"labels: expected a list of names, found {labels.dtype}")
    return tuple(str(name) for name in labels.astype(str))


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the names of the classes: one a line, in order.

    Raises:
        MisuseError: There is no such file.
        MalformedError: It is not text, or names nothing.

    """
    if not path.is_file():
        raise MisuseError(f"no labels {path}: there is no such file")
    try:
        with storage_errors(path):
            lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as e:
        raise MalformedError(f"{path}: expected UTF-8 text, one name a line") from e
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise MalformedError(f"{path}: expected one name a line, found none")
    return names
