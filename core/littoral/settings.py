"""TOML files into frozen dataclasses: agent.toml, serve.toml and recipes are all read here."""

import tomllib
from pathlib import Path
from typing import TypeVar

from littoral.errors import SettingsError
from littoral.records import RecordError, fill

T = TypeVar("T")


def read(cls: type[T], path: Path) -> T:
    """Return the settings in ``path`` as a ``cls``, whose fields name every setting there is.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong kind; says which, and where.

    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as e:
        raise SettingsError(f"{path}: {e.strerror}") from e
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{path}: {e}") from e
    try:
        return fill(cls, table)
    except RecordError as e:
        raise SettingsError(f"{path}: {e}") from e
