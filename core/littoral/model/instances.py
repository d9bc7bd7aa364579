"""Numbers that a person has in a file, one by one as a model takes them: .npy, .npz, JSON.

An .npz may be the converter's samples: x, and beside it y, the true classes, and labels, their
names.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral.bundle.manifest import Tensor
from littoral.errors import MalformedError, StorageError
from littoral.model import npy
from littoral.model.backends import Array
from littoral.model.tasks import labels
from littoral.model.tasks.labels import Labels

SUFFIXES: Final = (".npy", ".npz", ".json")
_MOST_LABELS_BYTES: Final = 4 * labels.MAX_BYTES  # NumPy has four for each character

# What JSON is that is no array, among others: too deep, too large, without an input.
_DAMAGED: Final = (ValueError, TypeError, OverflowError, RecursionError, KeyError)
_BESIDE: Final = {"y", "labels"}  # what samples bring beside x

Instances = list[tuple[Array, ...]]  # each of them in the order of the inputs


def read(path: Path, inputs: Sequence[Tensor]) -> Instances:
    """Return what ``path`` holds for a model of these ``inputs``: one instance, or several.

    Raises:
        StorageError: It cannot be read.
        MalformedError: It holds something else.

    """
    with _errors(path):
        found = _json(path) if path.suffix == ".json" else _arrays(path, inputs)
        return _each(found, inputs)


def true(path: Path, inputs: Sequence[Tensor], *, count: int) -> list[int] | None:
    """Return the true class of each of the ``count`` instances in ``path``, where it says them.

    Raises as ``read``.
    """
    with _errors(path):
        y = _beside(path, "y", inputs)
        return None if y is None else _classes(y, count)


def names(path: Path, inputs: Sequence[Tensor]) -> Labels:
    """Return what ``path`` says that classes are called. Raises as ``read``."""
    with _errors(path):
        found = _beside(path, "labels", inputs, most=_MOST_LABELS_BYTES)
        if found is None:
            return labels.NONE
        if found.ndim != 1 or found.dtype.kind != "U":
            raise ValueError(f"labels: expected texts, found {found.dtype} {list(found.shape)}")
        return Labels(_lines(found))


def _lines(texts: Array) -> tuple[str, ...]:
    """Return ``texts``, of which each could be a line in a file of labels, and all of them one."""
    if len(texts) > labels.MAX_LABELS:
        raise ValueError(f"labels: expected at most {labels.MAX_LABELS}, found {len(texts)}")
    try:  # NumPy stores 32 bits for a character, and any may be there
        texts.tobytes().decode("utf-32-be" if texts.dtype.str[0] == ">" else "utf-32-le")
    except UnicodeDecodeError as e:
        raise ValueError(f"labels: expected Unicode: {e.reason}") from e
    found = tuple(texts.tolist())
    if odd := [one for one in found if one and one.splitlines() != [one]]:
        raise ValueError(f"labels: expected a line for each class, found {odd[0][:60]!r}")
    return found


def _beside(
    path: Path, name: str, inputs: Sequence[Tensor], *, most: int = npy.MOST_BYTES
) -> Array | None:
    """Return what samples bring beside x, unless it is what an input is called."""
    if path.suffix != ".npz" or name in {spec.name for spec in inputs}:
        return None
    if not {"x", name} <= {*npy.names(path)}:
        return None
    return npy.several(path, [name], most=most)[name]


def _classes(y: Array, count: int) -> list[int] | None:
    if y.ndim == 0 or len(y) != count:
        raise ValueError(f"y: expected {count}, one for each sample, found {list(y.shape)}")
    rows = y.reshape(count, -1)
    if rows.shape[1] > 1 and np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all():
        rows = rows.argmax(axis=1)[:, None]  # one hot
    if rows.dtype.kind not in "iuf":
        raise ValueError(f"y: expected whole numbers, found {rows.dtype}")
    if rows.shape[1] != 1 or rows.dtype.kind == "f":
        return None  # true numbers, or boxes: no classes
    return [int(one) for one in rows[:, 0]]


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
    except MemoryError as e:  # a .npy names a size, and there need be no such bytes behind it
        raise MalformedError(f"{path}: it holds more than there is memory") from e
    except _DAMAGED as e:
        raise MalformedError(f"{path}: {e}") from e


def _arrays(path: Path, inputs: Sequence[Tensor]) -> Any:  # noqa: ANN401 (one, or by name)
    if path.suffix == ".npy":
        return npy.one(path)
    held = npy.names(path)
    beside = _BESIDE - {spec.name for spec in inputs} if "x" in held else set()
    wanted = [name for name in held if name not in beside]
    if len(inputs) == 1 and len(wanted) != 1:
        there, name = ", ".join(held) or "none", inputs[0].name
        raise ValueError(f"expected {name}, or x with y and labels beside it, found {there}")
    return npy.several(path, wanted)


def _json(path: Path) -> Any:  # noqa: ANN401
    npy.check(path.stat().st_size)
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        return document
    rows = document.get("instances")
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        return {name: [row[name] for row in rows] for name in rows[0]}
    return document.get("instances", document.get("inputs", document))


def _each(found: Any, inputs: Sequence[Tensor]) -> Instances:  # noqa: ANN401
    if not isinstance(found, Mapping):
        if len(inputs) != 1:
            raise ValueError(f"expected an array for each of {_names(inputs)}, found one")
        found = {inputs[0].name: found}
    elif len(inputs) == 1 and len(found) == 1:
        found = {inputs[0].name: next(iter(found.values()))}
    if found.keys() != {spec.name for spec in inputs}:
        raise ValueError(f"expected {_names(inputs)}, found {', '.join(map(str, found))}")
    columns = [_batched(found[spec.name], spec) for spec in inputs]
    if len({len(column) for column in columns}) != 1:
        raise ValueError("the inputs are of different numbers of instances")
    return list(zip(*columns, strict=True))


def _batched(value: Any, spec: Tensor) -> Array:  # noqa: ANN401
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{spec.name}: expected numbers, found {array.dtype}")
    if not isinstance(value, np.ndarray) and array.dtype.kind in "iu" and spec.scale:
        # JSON knows no types. As serve has it: a picture's bytes are stored, all else is real.
        array = _bytes(array, spec) if spec.dtype == "uint8" else array.astype(np.float32)
    wanted = spec.shape[1:]
    if array.shape == wanted:
        return array[None]
    if array.shape[1:] == wanted and array.ndim and len(array):
        return array
    raise ValueError(f"{spec.name}: expected {list(wanted)} or several, found {list(array.shape)}")


def _bytes(array: Array, spec: Tensor) -> Array:
    if array.size and not 0 <= array.min() <= array.max() <= 255:  # noqa: PLR2004 (of a byte)
        raise ValueError(f"{spec.name}: expected whole numbers from 0 to 255, or real ones")
    return array.astype(np.uint8)


def _names(inputs: Sequence[Tensor]) -> str:
    return ", ".join(spec.name for spec in inputs)
