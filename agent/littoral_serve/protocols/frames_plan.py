"""What a frame's head comes to: a release, where its inputs lie, and how the answer begins.

Who is asked the same again keeps it. Knows no connection, and runs nothing.
"""

import weakref
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from littoral.model.backends import Array
from littoral.wire import frames
from littoral.wire.frames import Dtype, Kind, Spec
from littoral_serve.running.inference import LOOK, count_of
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import Signature, View


class Plan:
    """What one head asks for: a release, and where in the body its inputs lie."""

    __slots__ = (
        "_answer",
        "_shapes",
        "batch",
        "body_bytes",
        "count",
        "layout",
        "live",
        "model",
        "release",
        "signature",
    )

    def __init__(self, asked: frames.Run, live: Live, signature: Signature) -> None:
        """Raise InvalidArgumentError where the inputs are not as ``signature`` says."""
        # Weakly: a client that says nothing more must not keep a release.
        self.live = weakref.ref(live)
        self.model, self.release, self.batch = live.model, live.release, live.batch
        self.signature = signature
        places: dict[str, tuple[Spec, int]] = {}
        at = 0
        for spec in asked.inputs:
            if spec.name in places:
                raise InvalidArgumentError(f"input {spec.name!r} is there twice")
            places[spec.name] = spec, at
            at += spec.nbytes
        self.body_bytes = at
        if places.keys() != {view.name for view in signature.inputs}:
            want, got = sorted(view.name for view in signature.inputs), sorted(places)
            raise InvalidArgumentError(f"expected the inputs {want}, found {got}")
        self.layout = tuple(_place(view, *places[view.name]) for view in signature.inputs)
        self.count: int | None = LOOK
        self._shapes: list[tuple[int, ...]] = []
        self._answer = b""

    def arrays(self, body: memoryview) -> list[Array]:
        """Return the inputs as they lie in ``body``.

        Raises:
            InvalidArgumentError: They do not fit the model, or the body is of another length.

        """
        if len(body) != self.body_bytes:
            raise InvalidArgumentError(
                f"the head says {self.body_bytes} bytes, the body has {len(body)}"
            )
        arrays = [np.ndarray(shape, dtype, body, at) for shape, dtype, at in self.layout]
        if self.count == LOOK:
            self.count = count_of(arrays, self.signature.inputs, self.batch)
        return arrays

    def answer(self, outputs: Sequence[Any]) -> bytes:
        """Return ``outputs``, which are arrays, as a frame."""
        shapes = [output.shape for output in outputs]
        if shapes != self._shapes:
            self._answer, self._shapes = self._begin(outputs), shapes
        return b"".join((self._answer, *outputs))

    def _begin(self, outputs: Sequence[Array]) -> bytes:
        views = self.signature.outputs
        specs = tuple(spec_of(view, a.shape) for view, a in zip(views, outputs, strict=True))
        head = frames.head(frames.Done(model=self.model, release=self.release, outputs=specs))
        size = sum(output.nbytes for output in outputs)
        return frames.begin(Kind.DONE, head, body_bytes=size)


def spec_of(view: View, shape: tuple[int, ...]) -> Spec:
    """Return what is said of a tensor of ``shape`` that ``view`` shows."""
    return Spec(view.name, cast("Dtype", view.dtype), shape)


def _place(view: View, spec: Spec, at: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    if spec.dtype != view.dtype:
        raise InvalidArgumentError(
            f"input {view.name!r}: expected {view.dtype}, found {spec.dtype}"
        )
    return spec.shape, np.dtype(spec.dtype), at
