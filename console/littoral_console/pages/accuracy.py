"""How well a release answers, as the converter measured it: read from its report's data.

The report is the publisher's, signed but not this console's: what is not as expected there is
left out.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MOST_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Fractions of right answers; None where there was nothing to evaluate on."""

    int8: float | None
    float: float | None


def accuracy(path: Path | None) -> Accuracy | None:
    """Return what the data of a report says of its first variant, None where it says nothing."""
    if path is None or path.stat().st_size > _MOST_BYTES:
        return None
    try:
        score = json.loads(path.read_bytes())["variants"][0]["score"]
        return Accuracy(
            int8=_fraction(score, "int8_accuracy"), float=_fraction(score, "float_accuracy")
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _fraction(score: Any, name: str) -> float | None:  # noqa: ANN401
    found = score[name]
    return found if isinstance(found, float | int) and 0 <= found <= 1 else None
