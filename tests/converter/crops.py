"""Crops of 32 by 32 from photographs, the same ones for the same seed: what ResNet-8 is judged on.

The photographs are those of shared/data/images, in the order of their names, but for the one of
a handwritten digit. Crops are cut at random places at their full size, none twice. The first
500 are for calibration, the others for evaluation.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARED: Final = Path(__file__).parents[3] / "shared"
PHOTOGRAPHS: Final = SHARED / "data/images"
CALIBRATION, EVALUATION, SIZE = 500, 1500, 32

Floats = NDArray[np.float32]


def crops(seed: int = 0) -> tuple[Floats, Floats]:
    """Return the calibration and the evaluation crops: [n, 32, 32, 3], 0 to 255."""
    pictures = [np.asarray(Image.open(path).convert("RGB"), np.float32) for path in _files()]
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int, int], Floats] = {}
    while len(found) < CALIBRATION + EVALUATION:
        which = int(rng.integers(len(pictures)))
        height, width, _ = pictures[which].shape
        y, x = int(rng.integers(height - SIZE + 1)), int(rng.integers(width - SIZE + 1))
        found[which, y, x] = pictures[which][y : y + SIZE, x : x + SIZE]
    every = np.stack(list(found.values()))
    return every[:CALIBRATION], every[CALIBRATION:]


def _files() -> list[Path]:
    kinds = {".bmp", ".jpg"}
    every = sorted(p for p in PHOTOGRAPHS.iterdir() if p.suffix in kinds)
    return [p for p in every if p.stem != "mnist_nine"]
