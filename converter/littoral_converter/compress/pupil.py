"""A model that learns, what it learns from, and who judges it.

One sample in so many is kept apart before anything else: no step learns from it, and every figure
is about those.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MisuseError
from littoral_converter.compress import lessons, models, training
from littoral_converter.compress.lessons import Lesson, Score
from littoral_converter.compress.models import Loaded
from littoral_converter.compress.training import Samples
from littoral_converter.compress.wanted import Compress, Training

Floats = NDArray[np.float32]

_SOFT: Final = 3.0  # temperature
_ALPHA: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pupil:
    loaded: Loaded
    learned: Samples
    judged: Samples
    first: Floats  # what the model as it was given answers to ``judged``
    lesson: Lesson
    teacher: Score | None = None  # of a step that has one

    @classmethod
    def of(
        cls, loaded: Loaded, x: Path, y: Path | None, *, training: Training, classes: bool
    ) -> "Pupil":
        """Return the model with the samples in ``x`` and ``y``; without ``y`` it teaches itself.

        Raises:
            MisuseError: They do not fit.

        """
        learned, judged = _split(
            np.load(x, mmap_mode="r"), None if y is None else np.load(y), training
        )
        models.check(loaded.model, learned.x.shape[1:], what="training")
        first = _answers(loaded, judged)
        kind = lessons.form(first, classes=classes or y is not None)
        lessons.check(judged.y, first, kind=kind)
        lessons.check(learned.y, first, kind=kind)
        if y is None:
            learned = replace(learned, taught=_answers(loaded, learned))
            judged = replace(judged, taught=first)
        return cls(
            loaded=loaded,
            learned=learned,
            judged=judged,
            first=first,
            lesson=Lesson(kind=kind, alpha=1.0 if y is None else 0.0),
        )

    def taught_by(self, step: Compress, teacher: str, folder: Path) -> "Pupil":
        """Return the same, with ``teacher``, a model's file, where ``step`` has one.

        Raises:
            MalformedError: Keras cannot read the teacher.
            MisuseError: It takes or answers something else than the model.

        """
        if not teacher:
            return self
        loaded = models.load(Path(teacher), folder)
        models.check(loaded.model, self.learned.x.shape[1:], what=f"teacher {Path(teacher).name}")
        judged = _answers(loaded, self.judged)
        if judged.shape != self.first.shape:
            raise MisuseError(
                f"teacher {Path(teacher).name}: answers {list(judged.shape[1:])}, the model "
                f"{list(self.first.shape[1:])}; they have to be the same"
            )
        kind = self.lesson.kind
        taught = kind if kind == "numbers" else lessons.form(judged, classes=True)
        alpha = _ALPHA if step.alpha is None else step.alpha
        return replace(
            self,
            learned=replace(self.learned, taught=_answers(loaded, self.learned)),
            judged=replace(self.judged, taught=judged),
            lesson=Lesson(
                kind=kind,
                alpha=1.0 if self.learned.y is None else alpha,
                temperature=_SOFT if step.temperature is None else step.temperature,
                taught=taught,
            ),
            teacher=lessons.score(judged, self.first, self.judged.y, loss=None, kind=taught),
        )

    def ask(self) -> Floats:
        """Return what the model answers now to the samples that judge."""
        return _answers(self.loaded, self.judged)

    def score(self, answers: Floats) -> Score:
        """Return how good ``answers`` to the samples that judge are."""
        loss = training.loss(self.lesson, answers, self.judged)
        return lessons.score(answers, self.first, self.judged.y, loss=loss, kind=self.lesson.kind)


def _answers(loaded: Loaded, samples: Samples) -> Floats:
    return training.answers(loaded.model, samples)


def _split(x: Floats, y: NDArray[np.int64] | None, wanted: Training) -> tuple[Samples, Samples]:
    """Return what is learned from, and what judges."""
    order = np.random.default_rng(wanted.seed).permutation(len(x))
    kept = max(1, round(wanted.validation * len(x)))
    if kept == len(x):
        raise MisuseError(f"training: {len(x)} samples are too few to learn from and to judge by")
    parts = np.sort(order[kept:]), np.sort(order[:kept])
    learned, judged = (Samples(x=x, rows=rows, y=None if y is None else y[rows]) for rows in parts)
    return learned, judged
