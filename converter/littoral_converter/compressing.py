"""Has a model compressed as its recipe says, before anything else is done with it.

What comes out is an ordinary model of the same Keras: everything after it is as for any other.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from littoral.errors import ConversionError, MisuseError
from littoral_converter import declared, reading, source
from littoral_converter.compress import steps
from littoral_converter.compress.standing import packed
from littoral_converter.compress.steps import Compressed
from littoral_converter.compress.wanted import Compress
from littoral_converter.importers import readers
from littoral_converter.recipe import Recipe
from littoral_converter.samples.asked import Asked
from littoral_converter.source import Kind, Source
from littoral_converter.workshop import Workshop

_KERAS: Final = {Kind.KERAS2, Kind.KERAS3, Kind.HDF5}
_GENTLE: Final = ("relax", "ranges", "bias")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What a report says of it. ``int8`` is the file that devices get."""

    name: str  # of the training data
    sha256: str
    found: Compressed
    int8_bytes: int = 0
    int8_zstd_bytes: int = 0


def check(given: Source, recipe: Recipe, *, training: Path | None, beside: Path) -> None:
    """Do nothing if all is there that the recipe's steps need: before anybody waits for them.

    Raises:
        MisuseError: Something is not, or no step needs it.

    """
    if not recipe.compress:
        if training is not None:
            raise MisuseError("--training: the recipe has no [[compress]] step that would train")
        return
    if given.kind not in _KERAS:
        raise MisuseError(
            f"{given.path}: [[compress]] trains, and this is a model of {given.kind}; give the "
            ".keras or .h5 file that it was made of"
        )
    readers.need(given.kind)
    for step in recipe.compress:
        _teacher(step, beside)
    data = _data(recipe, training, beside)
    if not data.exists():
        raise MisuseError(f"no data {data}: there is no such file")


def compress(
    shop: Workshop,
    given: Source,
    recipe: Recipe,
    *,
    training: Path | None,
    beside: Path,
    labels: tuple[str, ...] | None = None,
) -> tuple[Source, Compression | None]:
    """Return the model to go on with: ``given``, where the recipe has no steps.

    ``training`` is asked before the recipe's own data; the recipe's paths begin at ``beside``.

    Raises:
        MisuseError: What it is trained on does not fit the model.
        ConversionError: The model cannot be trained, or lost too much by it.

    """
    if not recipe.compress:
        return given, None
    teachers = tuple(_teacher(step, beside) for step in recipe.compress)
    want = Asked(
        shape=recipe.input.shape or declared.shape(given),
        preprocessing=recipe.input.preprocessing,
        labels=labels,
        examples=recipe.data,
    )
    path = _data(recipe, training, beside)
    learned = reading.samples(shop, path, want, name="training")
    folder = shop.folder / "compress"
    folder.mkdir()
    job = steps.Job(
        model=given.path.resolve(),
        folder=folder,
        x=shop.keep("learned.npy", learned.x),
        y=None if learned.y is None else shop.keep("learned-classes.npy", learned.y),
        classes=recipe.task == "classification",
        steps=recipe.compress,
        teachers=teachers,
        training=recipe.training,
    )
    slow = replace(shop.limits, deadline_s=recipe.training.deadline_s)
    patient = replace(shop, limits=slow)
    found = patient.do("compress", job, Compressed, name="compress")
    _guard(found, recipe)
    about = Compression(name=learned.name, sha256=learned.sha256, found=found)
    return source.detect(folder / found.model), about


def finished(about: Compression | None, int8: bytes) -> Compression | None:
    """Return ``about`` with what became of it."""
    if about is None:
        return None
    return replace(about, int8_bytes=len(int8), int8_zstd_bytes=packed(int8))


def gentle(recipe: Recipe) -> Recipe:
    """Return ``recipe`` as weights are to be quantized that were made equal on purpose.

    Each weight is rounded as its equals are: what chooses weights anew, or stretches
    channels, would make many different ones of them again.
    """
    clustered = any(step.step == "cluster" for step in recipe.compress)
    if not clustered or recipe.quantize.steps is not None:
        return recipe
    return replace(recipe, quantize=replace(recipe.quantize, steps=_GENTLE))


def _teacher(step: Compress, beside: Path) -> str:
    if step.teacher is None:
        return ""
    path = beside / step.teacher
    found = source.detect(path)
    if found.kind not in _KERAS:
        raise MisuseError(f"teacher {path}: expected a Keras model, found one of {found.kind}")
    return str(path.resolve())


def _data(recipe: Recipe, training: Path | None, beside: Path) -> Path:
    own = recipe.training.data
    path = training or (None if own is None else beside / own)
    if path is None:
        raise MisuseError(
            "[[compress]] trains: give --training DATA or, in the recipe, [training] data: samples "
            "(x) and, where they are known, the true classes (y); without y the model as it was "
            "given is the teacher"
        )
    return path


def _guard(found: Compressed, recipe: Recipe) -> None:
    """Refuse what lost too much; what a step did is in the error, for there will be no report.

    Raises:
        ConversionError: It did.

    """
    first, last = found.steps[0].before.score, found.steps[-1].after.score
    limit, what = recipe.training.max_drop, "accuracy"
    before, after = first.accuracy, last.accuracy
    if before is None or after is None:
        before, after, what = first.agreement, last.agreement, "agreement with the model before"
    # One sample more or less is chance, however few there are.
    if before is None or after is None or before - after <= max(limit, 1 / found.judged):
        return
    way = " -> ".join(
        f"{done.step} {_share(done.after.score.accuracy, done.after.score.agreement)}"
        for done in found.steps
    )
    raise ConversionError(
        f"compressing costs too much: {what} {before:.1%} -> {after:.1%} on {found.judged} samples "
        f"that it did not learn from ({way}), and {100 * limit:g} points are allowed; train longer "
        "(training.epochs), ask for less, or raise training.max_drop"
    )


def _share(accuracy: float | None, agreement: float | None) -> str:
    share = agreement if accuracy is None else accuracy
    return "" if share is None else f"{share:.1%}"
