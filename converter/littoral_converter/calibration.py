"""Which samples the quantizer sees, and whether they can tell it anything. Rules only."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.preprocessing import PIXELS, Preprocessing
from littoral.errors import ConversionError
from littoral_converter import recipe
from littoral_converter.data import Data
from littoral_converter.samples.asked import Asked

ENOUGH: Final = 100
_LOOKED_AT: Final = 1000  # samples whose values are compared
_APART: Final = 8.0  # times, from which on two sets are in different scales
_BEYOND: Final = 1.5  # times what a picture can become
_SAME: Final = 0.5  # of the samples that are equal to another one
_BLANK: Final = 0.1  # of the samples that hold one value
_KEYED: Final = 64  # values by which equal samples are found
_BRIGHT: Final = 128  # the least that the brightest pixel of pictures has, as it is
_FEW_ANSWERS: Final = 20  # samples, below which one answer to all is no wonder
_BY_CHANCE: Final = 1.5  # times the accuracy of guessing

Floats = NDArray[np.float32]


def choose(data: Data, wanted: recipe.Calibration) -> Floats:
    """Return at most ``wanted.samples`` samples: the same ones for the same seed, in file order.

    Raises:
        ConversionError: All samples are one and the same, so that ranges cannot be learned.

    """
    chosen = data.x
    if len(data) > wanted.samples:
        chosen = data.x[Asked(most=wanted.samples, seed=wanted.seed).choice(data.y, len(data))]
    if (chosen == chosen.flat[0]).all() or (len(chosen) > 1 and (chosen == chosen[0]).all()):
        raise ConversionError(
            f"{data.name}: all {len(chosen)} calibration samples hold the same values; INT8 "
            "ranges are learned from differences: give real samples, as the model will meet them"
        )
    return chosen


def warnings(
    chosen: Floats,
    learned: Data,
    judged: Data | None,
    *,
    preprocessing: Preprocessing | None = None,
    rescales: bool = False,
) -> Iterator[str]:
    """Yield what a person should know about the samples; ``chosen`` are those of ``learned``.

    ``rescales``: the model itself begins with taking 0 to 255 to what it wants.
    """
    if len(chosen) < ENOUGH:
        yield (
            f"calibrated on {len(chosen)} samples; below {ENOUGH} the ranges of rare activations "
            "are guesses: give more, as varied as what the model will meet"
        )
    for data in (learned,) if judged is None else (learned, judged):
        yield from (f"{data.name}: {note}" for note in data.notes)
    yield from _poor(chosen, learned.name)
    yield from _scale(chosen, learned, preprocessing, rescales=rescales)
    if judged is not None:
        yield from _against(chosen, learned, judged)


def _poor(chosen: Floats, name: str) -> Iterator[str]:
    same = len(chosen) - len({sample.tobytes() for sample in chosen})
    if same > _SAME * len(chosen):
        yield (
            f"{name}: {same} of {len(chosen)} calibration samples are copies of others, and "
            "teach nothing"
        )
    blank = sum(bool((sample == sample.flat[0]).all()) for sample in chosen)
    if blank > _BLANK * len(chosen):
        yield f"{name}: {blank} of {len(chosen)} calibration samples hold a single value each"


def _scale(
    chosen: Floats, learned: Data, preprocessing: Preprocessing | None, *, rescales: bool
) -> Iterator[str]:
    low, high = float(chosen.min()), float(chosen.max())
    if rescales and chosen[0].ndim == 3 and high <= 1:  # noqa: PLR2004 (a picture's)
        yield (
            f"{learned.name}: samples of {low:.3g} to {high:.3g} went into a model that rescales "
            "pixels of 0 to 255 itself: give pixels as they are"
        )
    if preprocessing is not None and learned.preprocessing is None:
        least, most = preprocessing.bounds
        width = most - least
        if low < least - width * (_BEYOND - 1) or high > most + width * (_BEYOND - 1):
            yield (
                f"{learned.name}: samples of {low:.3g} to {high:.3g}, though the recipe's "
                f"preprocessing makes {least:.3g} to {most:.3g}: give them as the model takes them"
            )
    as_they_are = learned.preprocessing is not None and learned.preprocessing.range == PIXELS
    if as_they_are and preprocessing is None and not rescales:
        yield (
            f"{learned.name}: pictures went in as pixels of 0 to 255, for the recipe has no "
            "[input.preprocessing]: say there what the model was trained on"
        )
    if preprocessing is None and learned.preprocessing is None and not rescales and _pixels(chosen):
        yield (
            f"{learned.name}: samples are whole numbers up to {high:.0f}, like pixels as they are: "
            "give them in the scale that the model was trained on; if that is this one, say so: "
            "[input.preprocessing] range = [0.0, 255.0]"
        )


def _pixels(chosen: Floats) -> bool:
    """Return whether these look like pictures that nobody scaled."""
    if chosen[0].ndim != 3 or not _BRIGHT <= chosen.max() <= 255 or chosen.min() < 0:  # noqa: PLR2004 (a picture's)
        return False
    return all(bool((sample == np.rint(sample)).all()) for sample in chosen)


def _against(chosen: Floats, learned: Data, judged: Data) -> Iterator[str]:
    spread, other = _spread(chosen), _spread(judged.x)
    if max(spread, other) > _APART * min(spread, other):
        yield (
            f"{learned.name} and {judged.name} are in different scales: values reach {spread:.3g} "
            f"in the one and {other:.3g} in the other"
        )
    both = shared(chosen, judged.x)
    if both:
        yield (
            f"{both} of the {len(judged)} samples of {judged.name} were calibrated on, too: its "
            "figures are better than the model; evaluate on others"
        )


def _spread(samples: Floats) -> float:
    """Return how large values get, by a few of the samples spread over all."""
    every = max(1, len(samples) // _LOOKED_AT)
    return float(max(np.abs(sample).max() for sample in samples[::every]))


def shared(chosen: Floats, others: Floats) -> int:
    """Return how many of ``others`` are equal to one of ``chosen``."""
    if chosen.shape[1:] != others.shape[1:]:
        return 0
    every = max(1, chosen[0].size // _KEYED)
    known: dict[bytes, list[int]] = {}
    for at, sample in enumerate(chosen):
        known.setdefault(sample.ravel()[::every].tobytes(), []).append(at)
    return sum(
        any(np.array_equal(chosen[at], sample) for at in known.get(key, ()))
        for sample, key in ((s, s.ravel()[::every].tobytes()) for s in others)
    )


def doubts(answers: NDArray[Any], y: NDArray[np.int64] | None) -> Iterator[str]:
    """Yield why the float model's ``answers``, [n, classes], look as if it was asked wrongly."""
    found = answers.argmax(axis=1)
    many = len(found) >= _FEW_ANSWERS
    if many and (found == found[0]).all() and (y is None or len(np.unique(y)) > 1):
        yield (
            f"the float model gives class {found[0]} to all {len(found)} samples: are they in the "
            "scale, and in the order of channels, that it was trained on?"
        )
    elif many and y is not None:
        right, classes = float((found == y).mean()), answers.shape[1]
        if right <= _BY_CHANCE / classes:
            yield (
                f"the float model is right for {right:.1%} of the samples, no better than chance: "
                "are classes numbered, and samples scaled, as it was trained?"
            )
