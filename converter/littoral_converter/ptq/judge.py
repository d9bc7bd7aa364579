"""How near a quantized model's answers lie to the float model's, on samples kept for that."""

import math
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq import observe

Floats = NDArray[np.float32]

_CHANCE: Final = 1.5  # standard errors
_RANK: Final = 2  # [samples, classes]
_LEAST: Final = 1 / 512  # half a step of an int8 probability: what 0 may stand for


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``loss`` compares models; the others are for people."""

    loss: float  # 0: the same answers
    agreement: float | None  # fraction of samples with the same largest output
    snr_db: float  # of the output
    losses: tuple[float, ...] = field(default=(), repr=False)  # of each sample

    def worse(self, other: "Verdict") -> bool:
        """Whether the same samples were answered worse than in ``other``, beyond chance."""
        more = np.subtract(self.losses, other.losses)
        chance = _CHANCE * float(more.std()) / math.sqrt(len(more))
        return float(more.mean()) > chance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    samples: Floats
    reference: Floats  # the float model's answers to them

    @classmethod
    def of(cls, model: bytes, samples: Floats) -> Self:
        """Return a judge by the answers of ``model``, a float file."""
        return cls(samples=samples, reference=observe.answers(model, samples))

    def ask(self, model: bytes) -> Verdict:
        """Return how ``model`` does."""
        return compare(self.reference, observe.answers(model, self.samples))


def compare(reference: Floats, answers: Floats) -> Verdict:
    """Return how near ``answers`` lie to ``reference``; both are [samples, …]."""
    power = float(np.square(reference).mean())
    noise = np.square(answers - reference).reshape(len(answers), -1).mean(axis=1)
    losses = _divergence(reference, answers) if _probable(reference) else noise / (power or 1.0)
    agreement = None
    if reference.ndim == _RANK and reference.shape[1] > 1:
        agreement = float((reference.argmax(axis=1) == answers.argmax(axis=1)).mean())
    return Verdict(
        loss=float(losses.mean()),
        agreement=agreement,
        snr_db=10 * float(np.log10(max(power, 1e-30) / max(float(noise.mean()), 1e-30))),
        losses=tuple(losses.tolist()),
    )


def _probable(answers: Floats) -> bool:
    """Whether the answers are probabilities of classes."""
    if answers.ndim != _RANK or answers.shape[1] < _RANK or answers.min() < 0:
        return False
    return bool(np.allclose(answers.sum(axis=1), 1, atol=0.02))


def _divergence(reference: Floats, answers: Floats) -> Floats:
    p, q = (np.maximum(a, _LEAST) for a in (reference, answers))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    found: Floats = (p * np.log(p / q)).sum(axis=1)
    return found
