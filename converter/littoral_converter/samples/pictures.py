"""Samples from folders of pictures: a sub-folder a class, or labels.csv, or no classes at all."""

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.preprocessing import Preprocessing
from littoral.durable import storage_errors
from littoral.errors import MalformedError
from littoral.model import images
from littoral_converter.samples import asked
from littoral_converter.samples.asked import Asked, Found, Pictures, Rows, SamplesError
from littoral_converter.worker import Progress, Say

LABELS: Final = "labels.csv"
_ENDS: Final = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
)
_MAX_FILES: Final = 5_000_000
_MAX_LABELS: Final = 512 * 2**20
_EVERY: Final = 16
_TEN: Final = 10  # from as many on, the order of digits as text is not that of numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Pictures by their paths below the folder; ``classes`` are named, or numbered, by text."""

    names: tuple[str, ...]
    classes: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def read(folder: Path, want: Asked, *, into: Path | None, say: Say) -> Found:
    """Return the pictures in ``folder`` as ``want.preprocessing`` has them, in order of names.

    Raises:
        MalformedError: Some cannot be read; says which.

    """
    with storage_errors(folder):
        listed = _listed(folder)
        if not listed.names:
            raise SamplesError(
                "expected pictures, in sub-folders that are named as their classes, or beside "
                f"{LABELS} (file, class); found none"
            )
        y, labels = _numbered(listed.classes, want.labels)
        chosen = want.choice(y, len(listed.names))
        names = [listed.names[at] for at in chosen]
        x, digests, carried_out = _pictures(folder, names, want, into=into, say=say)
    if y is not None:
        y = y[chosen]
        digests += [("", str(number)) for number in y.tolist()]
    return Found(
        x=x,
        y=y,
        labels=labels,
        sha256=asked.digest(digests),
        of=len(listed.names),
        preprocessing=carried_out,
        notes=listed.notes,
    )


def _pictures(
    folder: Path, names: list[str], want: Asked, *, into: Path | None, say: Say
) -> tuple[NDArray[np.float32], list[tuple[str, str]], Preprocessing]:
    rows, digests, bad = Rows(len(names), into), [], []
    alike = Pictures(want=want)
    for done, name in enumerate(names):
        if done % _EVERY == 0:
            say(Progress(stage="reading pictures", done=done, of=len(names)))
        try:
            data = _bytes(folder / name)
            digests.append((name, hashlib.sha256(data).hexdigest()))
            prepared = alike.prepare(images.decode(data))
        except MalformedError as e:
            bad.append(f"{name} ({e})")
            continue
        except SamplesError as e:
            raise SamplesError(f"{name} {e}") from e
        if not bad:
            rows.add(prepared, name=name)
    if bad:
        raise asked.bad(str(folder), bad, of=len(names))
    return rows.done(), digests, alike.settled or Preprocessing()


def _bytes(path: Path) -> bytes:
    with storage_errors(path):
        if not path.is_file() and path.exists():  # a pipe would be waited for without end
            raise MalformedError("is no regular file")
        with path.open("rb") as file:
            return file.read(images.MAX_BYTES + 1)


def _listed(folder: Path) -> Listed:
    if (folder / LABELS).is_file():
        return _by_table(folder)
    classes = sorted(e.name for e in os.scandir(folder) if e.is_dir() and _shown(e.name))
    found, others = _below(folder, classes)
    if not classes:
        return Listed(names=found, classes=None, notes=_ignored(others))
    loose = [name for name in found if "/" not in name]
    if loose:
        raise SamplesError(
            f"expected pictures in sub-folders or beside them, found both: {loose[0]} has no class"
        )
    return Listed(
        names=found,
        classes=tuple(name.partition("/")[0] for name in found),
        notes=_ignored(others) + _empty(classes, found),
    )


def _below(folder: Path, classes: list[str]) -> tuple[tuple[str, ...], int]:
    """Return the pictures in the folder and its classes, sorted, and how many files are none."""
    found, others = [], 0
    for top in ("", *classes):
        for name in _files(folder, top):
            if Path(name).suffix.lower() in _ENDS:
                found.append(name)
            else:
                others += 1
        if len(found) > _MAX_FILES:
            raise SamplesError(f"expected at most {_MAX_FILES} pictures")
    return tuple(sorted(found)), others


def _files(folder: Path, top: str) -> Iterator[str]:
    """Yield the files of a class and of all folders below it; of the folder itself, its own."""
    for place, below, names in os.walk(folder / top):
        below[:] = sorted(b for b in below if _shown(b)) if top else []
        for name in names:
            if _shown(name):
                yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 (of many)


def _shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX")) and name not in {"Thumbs.db", "desktop.ini"}


def _ignored(others: int) -> tuple[str, ...]:
    return (f"files left out, for their names are no pictures': {others}",) if others else ()


def _empty(classes: list[str], found: tuple[str, ...]) -> tuple[str, ...]:
    empty = sorted(set(classes) - {name.partition("/")[0] for name in found})
    return (f"sub-folders without a picture: {', '.join(empty[:5])}",) if empty else ()


def _by_table(folder: Path) -> Listed:
    """Read labels.csv: a line a picture, its file and its class, with or without a heading."""
    path = folder / LABELS
    if path.stat().st_size > _MAX_LABELS:
        raise SamplesError(f"{LABELS}: expected at most {_MAX_LABELS} bytes")
    names, classes = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, row in enumerate(csv.reader(file), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (line == 1 and not (folder / cells[0]).is_file()):
                    continue
                if len(cells) != 2 or not all(cells):  # noqa: PLR2004
                    raise SamplesError(f"{LABELS}, line {line}: expected file,class")
                names.append(_inside(folder, cells[0], line))
                classes.append(cells[1])
    except (UnicodeDecodeError, csv.Error) as e:
        raise SamplesError(f"{LABELS}: expected lines of file,class in UTF-8: {e}") from e
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SamplesError(f"{LABELS}: {twice} stands there twice")
    return Listed(names=tuple(names), classes=tuple(classes))


def _inside(folder: Path, name: str, line: int) -> str:
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts:
        raise SamplesError(f"{LABELS}, line {line}: {name} leads out of the folder")
    if not (folder / name).is_file():
        raise SamplesError(f"{LABELS}, line {line}: there is no file {name}")
    return name


def _numbered(
    classes: tuple[str, ...] | None, labels: tuple[str, ...] | None
) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None]:
    """Return the classes as the model numbers them, and their names.

    By the labels where they were given; numbers as they are; else in the order of the names,
    as Keras and PyTorch number the sub-folders of a folder.
    """
    if classes is None:
        return None, labels
    every = sorted(set(classes))
    if labels is not None and not set(every) <= set(labels):
        if not all(_digits(name) and int(name) < len(labels) for name in every):
            strange = next(name for name in every if name not in labels)
            raise SamplesError(f"no class {strange!r} among the labels that were given")
        return np.array([int(name) for name in classes], np.int64), labels
    if labels is not None:
        number = {name: at for at, name in enumerate(labels)}
    elif all(_digits(name) for name in every):
        number = _by_digits(every)
        return np.array([number[name] for name in classes], np.int64), None
    else:
        number = {name: at for at, name in enumerate(every)}
        labels = asked.names(every)
    return np.array([number[name] for name in classes], np.int64), labels


def _digits(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _by_digits(every: list[str]) -> dict[str, int]:
    if sorted(every, key=int) != every and len(every) > _TEN:
        raise SamplesError(
            "classes that are numbers without leading zeros: Keras and PyTorch number them as text "
            "(0, 1, 10, 2, …), others by value; give --labels with their names in the model's order"
        )
    return {name: int(name) for name in every}
