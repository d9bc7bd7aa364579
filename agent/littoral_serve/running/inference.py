"""One client's request on its way through a release: it ends on the one that it began on.

    read by a protocol -> stored -> waits in a lane -> run, whole or a batch at a time -> seen

Arrays come as clients see them, in the order of the signature's inputs, with the batch first;
they leave so, too. Knows no protocol, and neither runs nor queues anything itself.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import Signature, View

if TYPE_CHECKING:
    from littoral_serve.running.live import Live

LOOK: Final = -1


class Inference:
    """What is asked, what of it was run, and what came of it."""

    __slots__ = (
        "_arrived",
        "_begun",
        "_error",
        "_made",
        "_preprocess",
        "_rows_made",
        "count",
        "deadline_ns",
        "left",
        "live",
        "rows",
        "signature",
        "stored",
        "taken",
        "then",
    )

    def __init__(
        self,
        live: "Live",
        signature: Signature,
        arrays: Sequence[Array],
        *,
        then: Callable[["Inference"], None],
        arrived_ns: int,
        start_ns: int,
        deadline_ns: int | None = None,
        count: int | None = LOOK,
    ) -> None:
        """Quantize ``arrays`` at the border and check their shapes.

        Who asks the same again and again knows that they fit, and tells how many instances there
        are, or None; anybody else leaves ``count`` away.

        ``then`` is called once, on the loop, when the answer or its refusal is there. Times are
        perf_counter_ns: when the request had arrived, when reading it began, and when its client
        no longer wants it.

        Raises:
            InvalidArgumentError: They do not fit the signature.

        """
        self.live, self.signature, self.then = live, signature, then
        self.deadline_ns, self.left = deadline_ns, False
        views = signature.inputs
        try:
            if signature.takes_stored and len(arrays) == len(views):
                self.stored = tuple(arrays)
            else:
                self.stored = tuple([view.stored(a) for view, a in zip(views, arrays, strict=True)])
        except ValueError as e:
            raise InvalidArgumentError(str(e)) from e
        self.count = count_of(self.stored, views, live.batch) if count == LOOK else count
        self.rows = 1 if self.count is None else self.count  # of work: a whole is one
        self.taken = self._rows_made = 0
        self._made: list[tuple[Array, ...]] = []
        self._error: Exception | None = None
        self._arrived, self._begun = arrived_ns, 0
        self._preprocess = time.perf_counter_ns() - start_ns

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.stored)

    @property
    def done(self) -> bool:
        return self._error is not None or self._rows_made >= self.rows

    def take(self, most: int | None) -> tuple[tuple[Array, ...], int]:
        """Return the next rows, at most so many, and how many they are; all where None."""
        if not self._begun:
            self._begun = time.perf_counter_ns()
        if self.count is None or (self.taken == 0 and self.count == most):
            self.taken = self.rows
            return self.stored, self.rows
        start = self.taken
        self.taken = min(self.rows, start + (most or self.rows))
        return tuple(a[start : self.taken] for a in self.stored), self.taken - start

    def whole(self) -> tuple[Array, ...]:
        """Return all rows at once."""
        self._begun = time.perf_counter_ns()
        self.taken = self.rows
        return self.stored

    def ran(self, outputs: tuple[Array, ...]) -> None:
        """Keep what the next of the taken rows came to."""
        self._made.append(outputs)
        self._rows_made += 1 if self.count is None else len(outputs[0])

    def fail(self, error: Exception) -> None:
        self._error = error

    def leave(self) -> None:
        """Nobody waits for the answer any more: what was not run need not be."""
        self.left = True

    def waited_s(self) -> float:
        return (time.perf_counter_ns() - self._arrived) / 1e9

    def outputs(self) -> list[Array]:
        """Return the outputs as the signature shows them.

        Raises:
            RefusalError: It was not run, and why.
            BackendError: The model failed.

        """
        if self._error is not None:
            raise self._error
        stored: Sequence[Array] = self._made[0]
        if len(self._made) > 1:
            stored = [np.concatenate(parts) for parts in zip(*self._made, strict=True)]
        if self.signature.gives_stored:
            return list(stored)
        return [v.seen(a) for v, a in zip(self.signature.outputs, stored, strict=True)]

    def answered(self, *, postprocess_ns: int) -> None:
        """Count this request: it was answered, and what each stage took."""
        meter = self.live.meter
        if meter.answers is not None:
            for made in self._made:
                meter.answers.add(made)
        waited = self._begun - self._arrived - self._preprocess
        meter.answered(
            queue=max(0, waited),
            preprocess=self._preprocess,
            postprocess=postprocess_ns,
            instances=self.rows,
        )


def count_of(arrays: Sequence[Array], views: Sequence[View], size: int | None) -> int | None:
    """Return how many instances there are; None where the model has no batch.

    Raises:
        InvalidArgumentError: A shape does not fit its view.

    """
    if size is None:
        for array, view in zip(arrays, views, strict=True):
            _check_shape(array, view, view.spec.shape)
        return None
    count = len(arrays[0]) if arrays[0].ndim else 0
    for array, view in zip(arrays, views, strict=True):
        _check_shape(array, view, (max(count, 1), *view.instance))
    return count


def _check_shape(array: Array, view: View, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        want, got = (",".join(map(str, s)) for s in (shape, array.shape))
        raise InvalidArgumentError(f"input {view.name}: Expecting shape [{want}] but got: [{got}]")
