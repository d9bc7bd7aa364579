"""Whether a model has its channels first, told by what its input flows into.

Programs have channels last, as devices, cameras and Edge TPUs do. Knows operators as three kinds,
and refuses to know whose they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MisuseError
from littoral_converter.importers import program
from littoral_converter.importers.program import Open

# channels: treats the second axis as channels. each: works on every number by itself.
Role = Literal["channels", "each", "other"]

_LEAST: Final = 3  # dimensions with the batch: channels, and somewhere for them to be


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    role: Role
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """How a model with its channels first, or not, takes the samples that were given."""

    shape: tuple[int, ...]  # of one, as the model has it
    first: bool  # whether the model has channels first
    turned: bool = False  # whether the samples have them last already, as the program will

    @property
    def axes(self) -> tuple[int, ...]:
        """Return in which order the program has the axes of the samples; (): as they are."""
        return last(len(self.shape) + 1) if self.first and not self.turned else ()

    @property
    def program(self) -> tuple[int, ...]:
        """Return the shape of one sample as the program takes it."""
        return (*self.shape[1:], self.shape[0]) if self.first else self.shape

    def original(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``samples`` as the model itself takes them."""
        return np.moveaxis(samples, -1, 1) if self.turned else samples


def role(name: str, *, channels: frozenset[str], each: frozenset[str]) -> Role:
    """Return the role of the operator ``name``."""
    if name in channels:
        return "channels"
    return "each" if name in each else "other"


def last(rank: int) -> tuple[int, ...]:
    """Return the order of axes that puts the channels last."""
    return (0, *range(2, rank), 1)


def channels_first(source: str, rank: int, nodes: Iterable[Node]) -> bool:
    """Return whether ``source``, of ``rank`` dimensions with the batch, has channels first.

    ``nodes`` in the order in which they run.
    """
    if rank < _LEAST:
        return False
    reached, roles = {source}, []
    for node in nodes:
        if reached.isdisjoint(node.inputs):
            continue
        if node.role == "each":
            reached.update(node.outputs)
        else:
            roles.append(node.role)
    return bool(roles) and all(role == "channels" for role in roles)


def given(job: program.Job, declared: Open, *, first: bool, found: Iterable[int]) -> Samples:
    """Return how the samples fit a model that takes ``declared``; ``found`` is one's shape.

    Raises:
        MisuseError: They do not fit; or the recipe pins another shape than the model's.
        ConversionError: Something is open, and nothing pins it.

    """
    turned = first and _last(job.seen) is not None and not _fits(declared, job.seen)
    seen = (_last(job.seen) or job.seen) if turned else job.seen
    shape = program.fixed(declared, job.shape, seen=seen)
    made = Samples(shape=shape, first=first, turned=turned and seen == shape)
    wanted = made.program if made.turned else shape
    program.check_samples("calibration", job.seen, wanted)
    if tuple(found) != job.seen:
        raise MisuseError(
            f"evaluation: expected samples of {list(job.seen)}, as those of the calibration are, "
            f"found {list(found)}"
        )
    return made


def _last(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return ``shape``, which has its channels last, with them first."""
    return (shape[-1], *shape[:-1]) if len(shape) > 1 else None


def _fits(declared: Open, shape: tuple[int, ...]) -> bool:
    return len(declared) == len(shape) and all(
        d is None or d == n for d, n in zip(declared, shape, strict=True)
    )


def likest(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[int, ...]:
    """Return in which order the axes of ``wanted`` are ``found``'s: as they are, or channels last.

    Raises:
        ValueError: In neither.

    """
    orders = [tuple(range(wanted.ndim))]
    if wanted.ndim >= _LEAST:
        orders.append(last(wanted.ndim))
    fits = [order for order in orders if np.transpose(wanted, order).shape == found.shape]
    if not fits:
        raise ValueError(f"expected answers of {list(wanted.shape)}, found {list(found.shape)}")
    return min(fits, key=lambda order: float(np.abs(np.transpose(wanted, order) - found).max()))
