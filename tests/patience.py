"""How long tests wait, and how often they try what each time costs seconds.

``PATIENCE=4`` in the environment makes every limit of time four times as long: a machine that
stalls for seconds is slow, and no defect. What holds is found as soon as ever; only what does not
hold is told of later. With ``THOROUGH=1``, kills and restarts are as many as before a release.
"""

import os
from typing import Final

PATIENCE: Final = float(os.environ.get("PATIENCE", "1"))
THOROUGH: Final = os.environ.get("THOROUGH", "") not in ("", "0")


def patient(seconds: float) -> float:
    """Return the limit that ``seconds`` are on this machine."""
    return seconds * PATIENCE


def times(few: int, *, thorough: int) -> int:
    """Return how often something is tried."""
    return thorough if THOROUGH else few
