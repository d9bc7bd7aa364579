"""What classes are called."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from littoral.bundle import verified
from littoral.bundle.manifest import Manifest
from littoral.errors import MalformedError

MAX_BYTES: Final = 4 * 2**20
MAX_LABELS: Final = 100_000
_NUMBERED: Final = re.compile(r"(\d{1,6})(?:\s*[:,]\s*|\s+)(\S.*)")


class Labels:
    """The names of classes, by their numbers; one without a name is called by its number."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> str:
        known = 0 <= index < len(self.names)
        return (self.names[index] if known else "") or str(index)


def read(data: bytes, *, numbered: bool = False) -> Labels:
    """Return the names in ``data``, one a line.

    ``numbered``: where each line begins with a number, that is the class, and no part of the name.

    Raises:
        MalformedError: It is not text, or names nothing, or too much.

    """
    if len(data) > MAX_BYTES:
        raise MalformedError(f"labels: expected at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as e:
        raise MalformedError("labels: expected UTF-8 text, one name a line") from e
    while lines and not lines[-1]:
        lines.pop()
    if not lines or len(lines) > MAX_LABELS:
        raise MalformedError(f"labels: expected 1 to {MAX_LABELS} lines, found {len(lines)}")
    found = [_NUMBERED.fullmatch(line) for line in lines if line] if numbered else [None]
    by_number = {int(each[1]): each[2] for each in found if each is not None}
    if len(by_number) == len(found) and max(by_number) < MAX_LABELS:
        return Labels(tuple(by_number.get(k, "") for k in range(max(by_number) + 1)))
    return Labels(tuple(lines))


def of(manifest: Manifest, read_file: Callable[[str], bytes]) -> Labels:
    """Return the names that a release brings; ``read_file`` returns one of its files.

    Raises:
        MalformedError: The file names nothing.

    """
    return NONE if manifest.labels is None else read(read_file(manifest.labels))


def of_file(path: Path) -> Labels:
    """Return the names in a file that somebody names: with numbers before them, or without.

    Raises:
        StorageError: It cannot be read.
        MalformedError: It is not text, or names nothing, or too much.

    """
    data = verified.whole(path, most=MAX_BYTES)
    try:
        return read(data, numbered=True)
    except MalformedError as e:
        raise MalformedError(f"{path}: {e}") from e


def doubt(known: Labels, classes: int) -> str | None:
    """Return what is to be said where they seem to be those of a model with other classes."""
    if len(known) == classes:
        return None
    return f"{len(known)} names for {classes} classes: are they this model's?"


NONE: Final = Labels()
