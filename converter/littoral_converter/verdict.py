"""What is too bad about a measured model to release it, and what is only worth a word."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from littoral.errors import ConversionError
from littoral_converter import calibration, guarding
from littoral_converter.guarding import Limit, Standing
from littoral_converter.measure import Measured
from littoral_converter.quantizing import Mixed
from littoral_converter.recipe import Guard, Recipe

_FAR: Final = 0.95  # cosine below which answers are another model's, by any standard
_SLOWER: Final = 1.5  # times float's time that are worth a word: less is a busy machine's noise
_SHOWN: Final = 3  # names
_SHORT_US: Final = 100.0  # and up to here is what any call costs


def warnings(found: Measured, wanted: Recipe) -> Iterator[str]:
    """Refuse what is too bad to release; yield what is only worth knowing.

    Raises:
        ConversionError: The INT8 model lost more than the guard allows.

    """
    yield from calibration.warnings(
        found.learned.x,
        found.learned,
        found.judged,
        preprocessing=wanted.input.preprocessing,
        rescales="Rescaling" in found.built.program.layers,
    )
    yield from found.doubts
    yield from _namesakes(found.labels or ())
    quantized = found.built.quantized
    yield from found.built.program.notes
    if quantized.mixed:
        yield _price(quantized.mixed)
    elif not found.graph.fully_integer and not quantized.floats:
        yield "the model is not fully integer: some operators stay in floating point"
    if quantized.kind != wanted.quantize.kind:
        why = quantized.loops.why or "it has loops or conditions"
        yield f"only weights are of eight bits, and the rest computes in floating point: {why}"
    if found.likeness.cosine_mean < _FAR:
        yield (
            f"INT8's answers lie far from the float model's (cosine "
            f"{found.likeness.cosine_mean:.3f}): look at the calibration samples and their scale"
        )
    yield from _dearer(found)
    if found.judged is None:
        yield "no --evaluation was given: nobody knows how accurate this model is"
    elif found.detected is not None:
        if found.detected.why is not None:
            yield f"{found.judged.name}: precision is unknown: {found.detected.why}"
    elif found.score is None and found.regression is None:
        why = "y is missing" if found.judged.y is None else f"the task is {found.task}"
        yield f"{found.judged.name}: {why}, so accuracy is unknown"
    _guard(found, wanted.guard)


def _namesakes(labels: tuple[str, ...]) -> Iterator[str]:
    """Yield which classes are called alike: ImageNet's cranes, or a line that was copied."""
    twice = [name for name, many in Counter(labels).items() if many > 1]
    if twice:
        shown = ", ".join(repr(name) for name in twice[:_SHOWN]) + ", …" * (len(twice) > _SHOWN)
        yield f"several classes are called {shown}: whoever reads an answer cannot tell which it is"


def _dearer(found: Measured) -> Iterator[str]:
    """Yield what was not won: people quantize for size and speed."""
    larger = len(found.int8) / found.float_bytes
    slower = float(np.median(found.ran.cpu_us) / np.median(found.ran_float.cpu_us))
    if larger > 1:
        yield f"the model is {larger:.1f} times as large as the float one"
    if slower > _SLOWER and np.median(found.ran.cpu_us) > _SHORT_US:
        yield f"it takes {slower:.1f} times as long as the float model on this machine"


def _price(mixed: tuple[Mixed, ...]) -> str:
    """Return in words what it cost that the guard holds."""
    first, last = mixed[0], mixed[-1]
    given = sum(len(point.given) for point in mixed)
    size, time = last.bytes / first.bytes, last.cpu_us / first.cpu_us
    return (
        f"INT8 alone did not hold the guard's limits: {given} operators were given back floats; "
        f"the model is {size:.2f} times as large for it and takes {time:.2f} times as long here; "
        "[guard] mix = false refuses such a model"
    )


def _guard(found: Measured, guard: Guard) -> None:
    score = found.score
    standing = Standing(
        samples=len(found.samples),
        agreement=found.likeness.agreement,
        accuracy=None if score is None else score.int8_accuracy,
        float_accuracy=None if score is None else score.float_accuracy,
    )
    words = guarding.broken(standing, Limit.of(guard))
    if words is not None:
        raise ConversionError(
            f"INT8 loses too much: {words}; give more and more varied calibration samples, "
            "or loosen [guard] in a recipe"
        )
