"""A result that somebody hands in: what ``--json`` printed, and perhaps somebody changed since."""

import base64
from pathlib import Path
from typing import Any, Final

from littoral import records
from littoral.bundle import verified
from littoral.errors import MalformedError, UnsupportedFormatError
from littoral.wire.sketch import Sketch
from littoral_serve.bench.result import FORMAT, Result

_MAX_BYTES: Final = 8 * 2**20
_MOST: Final = 1e18  # what is counted or measured: bytes, and nanoseconds of thirty years
_LAST_MS: Final = 253_402_300_799_999  # of the year 9999, where calendars end


def read(path: Path) -> Result:
    """Return the result in ``path``, as ``--json`` printed it.

    Raises:
        MalformedError: It is none.
        StorageError: It is not there.

    """
    data = verified.whole(path, most=_MAX_BYTES)
    try:
        value = records.parse_json(data, limit=_MAX_BYTES)
        if not isinstance(value, dict) or "format" not in value:
            raise ValueError("what 'littoral bench --json' printed; this is another file")  # noqa: TRY301
        found = value["format"]
        if type(found) is int and found != FORMAT:
            raise UnsupportedFormatError(str(path), found=found, known=FORMAT)
        _check_numbers(value)
        told = records.fill(Result, value)
        _check(told)
    except (records.RecordError, ValueError) as e:
        raise MalformedError(f"{path}: expected a result of bench: {e}") from e
    return told


def _check_numbers(value: Any) -> None:  # noqa: ANN401 (JSON's)
    """Refuse what no run measures, and nobody can draw. Raises ValueError."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _check_numbers(one)
    elif isinstance(value, int | float) and abs(value) > _MOST:
        raise ValueError(f"expected numbers up to {_MOST:g}, found {value:g}")


def _check(told: Result) -> None:
    """Raise ValueError where what it says of itself cannot be."""
    if not 0 <= told.time_ms <= _LAST_MS:
        raise ValueError(f"time_ms: {told.time_ms} is no time since 1970")
    if told.sketch:
        held = Sketch.decode(base64.b64decode(told.sketch, validate=True))
        if not held.bins():
            raise ValueError("sketch: expected latencies, found none")
