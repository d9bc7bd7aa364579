"""How long tests wait: a machine that stalls for seconds is slow, and no defect.

``PATIENCE=4`` in the environment makes every limit of time four times as long. What holds is found
as soon as ever; only what does not hold is told of later.
"""

import os
from typing import Final

PATIENCE: Final = float(os.environ.get("PATIENCE", "1"))


def patient(seconds: float) -> float:
    """Return the limit that ``seconds`` are on this machine."""
    return seconds * PATIENCE
