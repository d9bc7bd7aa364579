"""What each kind of step does to the weights that it is for, while the model is trained."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.compress import activations, clusters, kernels, masks, training
from littoral_converter.compress.hold import Hold
from littoral_converter.compress.lessons import Score
from littoral_converter.compress.pupil import Pupil
from littoral_converter.compress.training import Run
from littoral_converter.compress.wanted import Compress
from littoral_converter.worker import Say

Floats = NDArray[np.float32]

_CLUSTERS: Final = 16
_RAMP: Final = 0.5  # of the training: the rest is for recovering
_STEADY: Final = 0.9  # of the training, at most, before its rate falls
_LOOKED: Final = 512  # samples whose ranges are only looked at
_OFTEN: Final = 50  # masks change at most so often: each change sorts all weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    losses: tuple[float, ...]
    untouched: tuple[str, ...] = ()
    rounded: Score | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deed:
    """One step's work: ``held`` are all weights, ``chosen`` those that it is for."""

    pupil: Pupil
    held: tuple[Hold, ...]
    chosen: tuple[Hold, ...]
    run: Run
    say: Say

    def do(self, step: Compress) -> Made:
        """Train, and leave the weights where they are held."""
        import tensorflow as tf

        made: Made
        match step.step:
            case "prune":
                made = self._prune(step)
            case "cluster":
                for hold in self.chosen:
                    now = hold.kernel.variable.numpy()
                    hold.clusters = clusters.assign(now, step.clusters or _CLUSTERS)
                made = Made(losses=self._train())
            case "qat":
                made = self._rounding(activate=step.activations is not False)
            case "distill" | "fine-tune":
                made = Made(losses=self._train())
        for hold in self.held:
            hold.settle(tf)
        return made

    def _train(
        self, before: Callable[[float], None] = lambda _: None, *, steady: float = 0.0
    ) -> tuple[float, ...]:
        return training.train(
            self.pupil.loaded.frame,
            self.pupil.loaded.model,
            self.pupil.learned,
            held=self.held,
            lesson=self.pupil.lesson,
            run=replace(self.run, before=before, steady=steady),
            say=self.say,
        )

    def _prune(self, step: Compress) -> Made:
        import tensorflow as tf

        for hold in self.chosen:
            hold.open(tf)
        of = tuple(hold.kernel for hold in self.chosen)
        if step.structure == "2:4":
            found = masks.two_of_four(kernels.matrices(of))
            self._mask(found)
            left = tuple(hold.kernel.name for hold in self.chosen if hold.kernel.name not in found)
            return Made(losses=self._train(), untouched=left)
        begun, last = _sparsity(kernels.matrices(of)), -1
        until = _RAMP if step.ramp is None else step.ramp

        def grow(done: float) -> None:
            nonlocal last
            if int(done * _OFTEN) == last:
                return
            last = int(done * _OFTEN)
            due = begun + (step.fraction - begun) * masks.ramp(done, until=until)
            self._mask(_masks(step, kernels.matrices(of), max(due, begun)))

        losses = self._train(grow, steady=min(until, _STEADY))
        if until >= 1:
            grow(1.0)
        return Made(losses=losses)

    def _mask(self, found: dict[str, Floats]) -> None:
        for hold in self.chosen:
            if hold.kernel.name in found:
                hold.prune(hold.kernel.as_kernel(found[hold.kernel.name]))

    def _rounding(self, *, activate: bool) -> Made:
        import tensorflow as tf

        for hold in self.chosen:
            hold.rounded = True
        model = self.pupil.loaded.model
        if not activate:
            losses = self._train()
            return Made(losses=losses, rounded=self._as_integers(tf))
        with activations.rounding(tf, model) as ranges:
            training.answers(model, self.pupil.learned, most=_LOOKED)
            ranges.follow()
            losses = self._train()
            ranges.rest()
            return Made(losses=losses, rounded=self._as_integers(tf))

    def _as_integers(self, tf: object) -> Score:
        """Return how good the model is with its weights rounded."""
        free = [hold.kernel.variable.numpy() for hold in self.held]
        for hold, weights in zip(self.held, free, strict=True):
            hold.kernel.variable.assign(hold.place(tf, weights))
        answers = self.pupil.ask()
        for hold, weights in zip(self.held, free, strict=True):
            hold.kernel.variable.assign(weights)
        return self.pupil.score(answers)


def _masks(step: Compress, weights: dict[str, Floats], sparsity: float) -> dict[str, Floats]:
    together = step.scope == "global"
    if step.structure == "block":
        wide, high = step.block or masks.BLOCK
        return masks.by_block(weights, sparsity, together=together, block=(wide, high))
    return masks.by_magnitude(weights, sparsity, together=together)


def _sparsity(weights: dict[str, Floats]) -> float:
    """Return which part of ``weights`` is 0 already."""
    zeros = sum(int((w == 0).sum()) for w in weights.values())
    return zeros / sum(w.size for w in weights.values())
