"""Which samples the quantizer sees, and whether they can tell it anything. Rules only."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter import recipe
from littoral_converter.data import Data

ENOUGH: Final = 100


def choose(data: Data, wanted: recipe.Calibration) -> NDArray[np.float32]:
    """Return at most ``wanted.samples`` samples: the same ones for the same seed, in file order.

    Raises:
        ConversionError: All samples are one and the same, so that ranges cannot be learned.

    """
    at = np.arange(len(data))
    if len(data) > wanted.samples:
        rng = np.random.default_rng(wanted.seed)
        at = np.sort(rng.choice(len(data), wanted.samples, replace=False))
    chosen = data.x[at]
    if (chosen == chosen.flat[0]).all() or (len(chosen) > 1 and (chosen == chosen[0]).all()):
        raise ConversionError(
            f"{data.name}: all {len(chosen)} calibration samples hold the same values; INT8 "
            "ranges are learned from differences: give real samples, as the model will meet them"
        )
    return chosen


def warning(samples: int) -> str | None:
    """Return what a person should know about so few samples, None when they are enough."""
    if samples >= ENOUGH:
        return None
    return (
        f"calibrated on {samples} samples; below {ENOUGH} the ranges of rare activations are "
        "guesses: give more, as varied as what the model will meet"
    )
