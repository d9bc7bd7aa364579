"""Which samples become the self-test: every class, and some that damage would turn first."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor
from littoral.model import selftest, tensors

MiB: Final = 2**20
_COUNT: Final = 32
_FEWEST: Final = 8
_BYTES: Final = 2 * MiB  # every device fetches them
_NEAR_TIE: Final = 0.25  # of all golden vectors
_STEPS: Final = 255
_LEAST_MARGIN: Final = 3  # steps: below, one rounding step either way may turn the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """The golden vectors, as the two files of a bundle."""

    count: int
    inputs: bytes
    outputs: bytes


def make(
    samples: NDArray[np.float32],
    answers: NDArray[Any],
    *,
    spec: Tensor,
    count: int | None,
    ranked: bool,
) -> Golden:
    """Pack at most ``count`` of ``samples``, stored as the input ``spec``, with their answers.

    Where ``count`` is None, as many as prove something and can be sent to every device.
    """
    one = samples[0].size * np.dtype(spec.dtype).itemsize
    chosen = choose(answers, count=count or usual(one), ranked=ranked)
    return Golden(
        count=len(chosen),
        inputs=selftest.pack([(tensors.quantize(samples[i][None], spec),) for i in chosen]),
        outputs=selftest.pack([(answers[i][None],) for i in chosen]),
    )


def usual(input_bytes: int) -> int:
    """Return how many golden vectors a model gets whose input is so large."""
    return max(_FEWEST, min(_COUNT, _BYTES // input_bytes))


def choose(answers: NDArray[Any], *, count: int, ranked: bool) -> NDArray[np.int64]:
    """Return the indices of at most ``count`` samples, ascending, the same every time.

    ``answers`` are the model's, as stored, [n, …]. ``ranked``: the largest one means
    something. A quarter are those nearest to a tie, but not so near that another processor's
    rounding decides; the rest take turns among the answered classes, evenly spread.
    """
    n = len(answers)
    if n <= count:
        return np.arange(n)
    if not ranked:
        return np.unique(np.linspace(0, n - 1, count).astype(np.int64))
    flat = np.sort(_in_steps(answers.reshape(n, -1)), axis=1)
    margin = flat[:, -1] - flat[:, -2]
    order = np.argsort(margin, kind="stable")
    near = [int(i) for i in order if margin[i] >= _LEAST_MARGIN][: int(count * _NEAR_TIE)]
    top = answers.reshape(n, -1).argmax(axis=1)
    chosen = dict.fromkeys(near)
    for i in _in_turn(top, margin >= _LEAST_MARGIN):
        if len(chosen) == count:
            break
        chosen[i] = None
    return np.sort(np.array(list(chosen), np.int64))


def _in_steps(answers: NDArray[Any]) -> NDArray[np.int64]:
    """Return ``answers`` as whole steps; those in floating point as eight bits would have them."""
    if answers.dtype.kind == "f":
        answers = np.rint(answers * (_STEPS / max(float(np.ptp(answers)), 1e-30)))
    return answers.astype(np.int64)


def _in_turn(top: NDArray[np.int64], clear: NDArray[np.bool_]) -> list[int]:
    """Return all samples: one of each class, then another of each; unclear ones at the end."""
    rank = np.zeros(len(top), np.int64)
    for label in np.unique(top):
        mine = np.flatnonzero(top == label)
        # Bit-reversed places spread what is taken first over the whole class.
        rank[mine[_spread(len(mine))]] = np.arange(len(mine))
    return [int(i) for i in np.lexsort((top, rank, ~clear))]


def _spread(n: int) -> NDArray[np.int64]:
    """Return 0 to n-1 in an order whose every beginning is evenly spread (van der Corput)."""
    bits = max(1, (n - 1).bit_length())
    places = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits)]
    return np.array([place for place in places if place < n], np.int64)
