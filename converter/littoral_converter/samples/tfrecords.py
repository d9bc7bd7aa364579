"""Samples from TFRecords of tf.train.Example: one file, or a folder of parts, plain or gzipped.

Read twice: for the classes, then for the samples that were chosen. Every checksum is looked at.
"""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from littoral.durable import storage_errors
from littoral.errors import MalformedError
from littoral.model import images
from littoral_converter.recipe import Examples
from littoral_converter.samples import asked, example
from littoral_converter.samples.asked import Asked, Found, Pictures, Rows, SamplesError
from littoral_converter.samples.crc32c import masked
from littoral_converter.samples.example import Feature
from littoral_converter.worker import Progress, Say

_X: Final = ("x", "image/encoded", "image_raw", "image", "features", "input", "data")
_Y: Final = ("y", "label", "image/class/label", "class", "target")
_GZIP: Final = b"\x1f\x8b"
_MAX_RECORD: Final = 2**30
_EVERY: Final = 64


def is_one(path: Path) -> bool:
    """Return whether ``path`` begins as TFRecords do: a length, and its checksum."""
    try:
        with _opened(path) as file:
            head = file.read(12)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 12 and int.from_bytes(head[8:], "little") == masked(head[:8])  # noqa: PLR2004


def read(paths: tuple[Path, ...], want: Asked, *, into: Path | None, say: Say) -> Found:
    """Return the samples in ``paths``, in order.

    Raises:
        MalformedError: A record is damaged, or holds no sample.

    """
    y, count, names = _classes(paths, want.examples, say)
    chosen = want.choice(y, count)
    wanted, rows, done = set(chosen.tolist()), Rows(len(chosen), into), 0
    alike = Pictures(want=want)
    for number, (where, record) in enumerate(_records(paths)):
        if number not in wanted:
            continue
        if done % _EVERY == 0:
            say(Progress(stage="reading samples", done=done, of=len(chosen)))
        with _named(where):
            found = _sample(example.parse(record), names[0], alike)
            rows.add(found, name=f"feature {names[0]!r}")
        done += 1
    return Found(
        x=rows.done(),
        y=None if y is None else y[chosen],
        labels=want.labels,
        sha256=_digest(paths),
        of=count,
        preprocessing=alike.settled,
    )


def _sample(found: dict[str, Feature], name: str, alike: Pictures) -> NDArray[Any]:
    value = found.get(name)
    if value is None or len(value) == 0:
        raise SamplesError(f"no feature {name!r}; there are: {', '.join(found)}")
    if not isinstance(value, list):
        return _shaped(value, alike.want.shape or value.shape)
    try:
        picture = images.decode(value[0])
    except MalformedError:
        return _raw(value[0], name, alike.want)
    try:
        return alike.prepare(picture)
    except SamplesError as e:
        raise SamplesError(f"the picture {e}") from e


def _raw(data: bytes, name: str, want: Asked) -> NDArray[Any]:
    """Return the numbers in bytes that are no picture."""
    if want.shape is None:
        raise SamplesError(
            f"feature {name!r} holds {len(data)} bytes that are no picture: say [input] shape, "
            "and [data] dtype where they are not uint8"
        )
    dtype = np.dtype(want.examples.dtype).newbyteorder("<")
    if len(data) % dtype.itemsize:
        raise SamplesError(f"{len(data)} bytes are no whole numbers of {dtype}")
    return _shaped(np.frombuffer(data, dtype), want.shape)


def _shaped(value: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if value.size != int(np.prod(shape)):
        raise SamplesError(f"expected {list(shape)}, found {value.size} numbers")
    return value.reshape(shape)


def _classes(
    paths: tuple[Path, ...], wanted: Examples, say: Say
) -> tuple[NDArray[np.int64] | None, int, tuple[str, str | None]]:
    """Return all classes where they are known, how many records there are, and the two names."""
    y: list[int] = []
    names: tuple[str, str | None] | None = None
    count = 0
    for where, record in _records(paths):
        if count % _EVERY == 0:
            say(Progress(stage="looking for classes", done=count))
        with _named(where):
            found = example.parse(record)
            names = names or _names(found, wanted)
            if names[1] is not None:
                y.append(_class(found.get(names[1]), names[1], wanted.first_class))
        count += 1
    if names is None:
        raise SamplesError("expected at least one record, found none")
    return (None if names[1] is None else np.array(y, np.int64)), count, names


def _names(found: dict[str, Feature], wanted: Examples) -> tuple[str, str | None]:
    x = wanted.x or next((name for name in _X if name in found), None)
    y = wanted.y or next((name for name in _Y if name in found), None)
    for name in (x, wanted.y):
        if name is not None and name not in found:
            raise SamplesError(f"no feature {name!r}; there are: {', '.join(found) or 'none'}")
    if x is None:
        raise SamplesError(
            f"which feature is the sample? there are: {', '.join(found) or 'none'}; "
            "say [data] x in a recipe"
        )
    return x, y


def _class(value: Feature | None, name: str, first: int) -> int:
    if not isinstance(value, np.ndarray) or value.dtype != np.int64 or value.size != 1:
        raise SamplesError(f"feature {name!r}: expected one whole number, the class")
    if int(value[0]) < first:
        raise SamplesError(
            f"feature {name!r}: expected classes of {first} and above, found {int(value[0])}"
        )
    return int(value[0]) - first


def _records(paths: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield where each record is, and its bytes, once their checksum was right."""
    for path in paths:
        with storage_errors(path), _opened(path) as file:
            number = 0
            while True:
                where = f"{path}: record {number}"
                with _named(where):
                    head = file.read(12)
                    if not head:
                        break
                    length = _length(head)
                    record, tail = file.read(length), file.read(4)
                    if len(record) + len(tail) != length + 4:
                        raise SamplesError("the file ends within it")
                    if int.from_bytes(tail, "little") != masked(record):
                        raise SamplesError("it was damaged: its checksum is another")
                yield where, record
                number += 1


def _length(head: bytes) -> int:
    if len(head) != 12:  # noqa: PLR2004
        raise SamplesError("the file ends within it")
    length, crc = struct.unpack("<QI", head)
    if crc != masked(head[:8]):
        raise SamplesError("it was damaged: its length has another checksum")
    if length > _MAX_RECORD:
        raise SamplesError(f"expected at most {_MAX_RECORD} bytes, found {length}")
    return int(length)


@contextmanager
def _named(where: str) -> Iterator[None]:
    try:
        yield
    except (SamplesError, EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise MalformedError(f"{where}: {e}") from e


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    if file.read(2) != _GZIP:
        file.seek(0)
        return file
    file.close()
    return cast("IO[bytes]", gzip.open(path, "rb"))


def _digest(paths: tuple[Path, ...]) -> str:
    digests = []
    for path in paths:
        with storage_errors(path), path.open("rb") as file:
            digests.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return asked.digest(digests)
