"""What a recipe says of compressing: ``[[compress]]`` steps, in order, and ``[training]``.

Each kind of step has settings of its own, and a setting that a step does not have is refused
rather than passed over.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

MAX_CLUSTERS: Final = 256
MOST_S: Final = 1e8  # three years: timers end somewhere
_ALL: Final = frozenset({"step", "epochs", "learning_rate"})
_WHERE: Final = frozenset({"layers", "skip"})
_OWN: Final[dict[str, frozenset[str]]] = {
    "prune": _WHERE | {"sparsity", "scope", "structure", "block", "ramp"},
    "cluster": _WHERE | {"clusters"},
    "qat": _WHERE | {"activations"},
    "distill": frozenset({"teacher", "temperature", "alpha"}),
    "fine-tune": frozenset(),
}
_RATES: Final[dict[str, float]] = {
    "prune": 2e-3,
    "cluster": 3e-4,
    "qat": 1e-4,
    "distill": 1e-3,
    "fine-tune": 1e-4,
}
_HALF: Final = 0.5  # of each group of four, in 2:4


@dataclass(frozen=True, slots=True, kw_only=True)
class Compress:
    """One step. None is the default of its kind: docs/compressing.md."""

    step: Literal["prune", "cluster", "qat", "distill", "fine-tune"]
    epochs: int | None = None  # else training.epochs
    learning_rate: float | None = None  # at the beginning; it falls to 0
    layers: tuple[str, ...] = ()  # only these, by name or pattern; none: all that have weights
    skip: tuple[str, ...] = ()  # not these
    sparsity: float | None = None  # prune: fraction of the weights that become 0
    scope: Literal["layer", "global"] | None = None  # prune: a fraction of each, or of all
    structure: Literal["weights", "2:4", "block"] | None = None  # prune: what falls together
    block: tuple[int, ...] = ()  # prune: inputs and outputs of a block
    ramp: float | None = None  # prune: part of the training in which sparsity grows
    clusters: int | None = None  # cluster: different weights that are left in a layer
    activations: bool | None = None  # qat: round what flows between layers, too
    teacher: Path | None = None  # distill: a Keras model, beside the recipe
    temperature: float | None = None  # distill: how much softer answers are compared
    alpha: float | None = None  # distill: the teacher's part of the loss, 0 to 1

    def __post_init__(self) -> None:
        self._check_own()
        for name in ("sparsity", "ramp", "alpha"):
            found = getattr(self, name)
            if found is not None and not 0 <= found <= 1:
                raise ValueError(f"{name}: expected a fraction of 0 to 1, found {found:g}")
        if self.sparsity == 1:
            raise ValueError("sparsity: at 1 nothing is left; expected less")
        if self.clusters is not None and not 2 <= self.clusters <= MAX_CLUSTERS:  # noqa: PLR2004
            raise ValueError(f"clusters: expected 2 to {MAX_CLUSTERS}, found {self.clusters}")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs: expected at least 1, found {self.epochs}")
        for name in ("learning_rate", "temperature"):
            found = getattr(self, name)
            if found is not None and found <= 0:
                raise ValueError(f"{name}: expected more than 0, found {found:g}")
        self._check_structure()
        if self.step == "distill" and self.teacher is None:
            raise ValueError("teacher: a step distill needs one: the path of a trained Keras model")

    def _check_own(self) -> None:
        own = _ALL | _OWN[self.step]
        for field in fields(self):
            if field.name not in own and getattr(self, field.name) not in {None, ()}:
                there = ", ".join(sorted(own - {"step"}))
                raise ValueError(f"a step {self.step} has no {field.name}; it has: {there}")

    def _check_structure(self) -> None:
        if self.block and (len(self.block) != 2 or min(self.block) < 1):  # noqa: PLR2004
            raise ValueError(f"block: expected [inputs, outputs], found {list(self.block)}")
        if self.block and self.structure != "block":
            raise ValueError("block: only where structure = 'block'")
        if self.structure == "2:4":
            if self.sparsity not in {None, _HALF}:
                raise ValueError("sparsity: 2:4 is 0.5, two of each four; leave it out")
            if self.scope == "global" or self.ramp is not None:
                raise ValueError("2:4 is the same in every layer from the start: no scope, no ramp")

    @property
    def fraction(self) -> float:
        """Return the sparsity that is wanted."""
        if self.structure == "2:4":
            return _HALF
        return 0.8 if self.sparsity is None else self.sparsity

    @property
    def rate(self) -> float:
        return _RATES[self.step] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What steps train on, and how."""

    data: Path | None = None  # beside the recipe; --training is asked first
    epochs: int = 5  # of each step
    batch: int = 64
    validation: float = 0.1  # of the samples: they judge, and nothing learns from them
    seed: int = 0
    max_drop: float = 0.05  # of accuracy, by all steps together, on those samples
    deadline_s: float = 14400.0  # for all steps together

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError("epochs and batch are at least 1")
        if not 0 < self.validation < 1:
            raise ValueError(
                f"validation: expected a part between 0 and 1, found {self.validation:g}"
            )
        if not 0 <= self.max_drop <= 1:
            raise ValueError("max_drop: expected a fraction of 0 to 1")
        if not 0 < self.deadline_s <= MOST_S:
            raise ValueError(
                f"deadline_s: expected more than 0, at most {MOST_S:g}, found {self.deadline_s:g}"
            )
        if self.seed < 0:
            raise ValueError(f"seed: expected at least 0, found {self.seed}")
