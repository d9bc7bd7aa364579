"""TOML files into frozen dataclasses: agent.toml, serve.toml and recipes are all read here."""

import math
import tomllib
from pathlib import Path
from typing import Final, TypeVar

from littoral.errors import SettingsError
from littoral.records import RecordError, fill

T = TypeVar("T")

MOST_BYTES: Final = 2**20  # a hundred times what any of them is


def read(cls: type[T], path: Path, *, most_bytes: int = MOST_BYTES) -> T:
    """Return the settings in ``path`` as a ``cls``, whose fields name every setting there is.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong kind; says which, and where.

    """
    try:
        table = tomllib.loads(text(path, most_bytes=most_bytes), parse_float=_finite)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecordError) as e:
        raise SettingsError(f"{path}: {e}") from e
    except RecursionError as e:
        raise SettingsError(f"{path}: lists in lists in lists, without end") from e
    except ValueError as e:  # Python reads whole numbers of a few thousand digits, and no more
        raise SettingsError(f"{path}: expected numbers of at most 64 bits, found more") from e
    try:
        return fill(cls, table)
    except RecordError as e:
        raise SettingsError(f"{path}: {e}") from e


def _finite(number: str) -> float:
    """Return a number of TOML, which has three that no setting can be."""
    found = float(number)
    if not math.isfinite(found):
        raise RecordError(f"expected numbers that end, found {number}")
    return found


def text(path: Path, *, most_bytes: int = MOST_BYTES) -> str:
    """Return what is in ``path``, which may be a pipe or a device, that have no size.

    Raises:
        SettingsError: It cannot be read, or is longer than ``most_bytes``.
        UnicodeDecodeError: It is no text.

    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as e:
        raise SettingsError(f"{path}: {e.strerror}") from e
    if len(data) > most_bytes:
        raise SettingsError(f"{path}: expected at most {most_bytes} bytes, found more")
    return data.decode()
