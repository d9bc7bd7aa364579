"""Frames: the fast path of programs on this machine. Knows what is said; knows no socket.

A head that was read once is kept with all that follows from it, so that a request of the same
kind costs a look into a dictionary. docs/frames.md says what is said.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import numpy as np

from littoral.errors import BackendError, LittoralError, MalformedError
from littoral.model.backends import Array
from littoral.wire import frames
from littoral.wire.frames import Dtype, Kind, Spec
from littoral_serve.running.inference import Inference
from littoral_serve.running.live import Live, Models
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    OverloadedError,
    RefusalError,
    UnknownServableError,
)
from littoral_serve.running.signatures import DEFAULT, Signature, View

_MOST_PLANS: Final = 256
_LONGEST_KEPT: Final = 4096  # a head that is kept
_CODES: Final[Mapping[type[Exception], str]] = {
    InvalidArgumentError: "denied",
    UnknownServableError: "not-found",
    OverloadedError: "overloaded",
    LateError: "deadline",
}

DEFECT: Final = frames.refusal("defect", "this is a fault of serve's; its log says more")

Give = Callable[[bytes], None]

log = logging.getLogger(__name__)


class Plan:
    """What one head asks for: a release, and where in the body its inputs lie."""

    __slots__ = ("_answer", "_shapes", "body_bytes", "layout", "live", "release", "signature")

    def __init__(self, asked: frames.Run, live: Live, signature: Signature) -> None:
        """Raise InvalidArgumentError where the inputs are not as ``signature`` says."""
        self.live, self.signature, self.release = live, signature, asked.release
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
        self._shapes: list[tuple[int, ...]] = []
        self._answer = b""

    def arrays(self, body: memoryview) -> list[Array]:
        """Return the inputs as they lie in ``body``, which is exactly as long as was said."""
        return [np.ndarray(shape, dtype, body, at) for shape, dtype, at in self.layout]

    def answer(self, outputs: Sequence[Any]) -> bytes:
        """Return ``outputs``, which are arrays, as a frame."""
        shapes = [output.shape for output in outputs]
        if shapes != self._shapes:
            self._answer, self._shapes = self._begin(outputs), shapes
        return b"".join((self._answer, *outputs))

    def _begin(self, outputs: Sequence[Array]) -> bytes:
        views = self.signature.outputs
        specs = tuple(_spec(view, a.shape) for view, a in zip(views, outputs, strict=True))
        live = self.live
        head = frames.head(frames.Done(model=live.model, release=live.release, outputs=specs))
        size = sum(output.nbytes for output in outputs)
        return frames.begin(Kind.DONE, head, body_bytes=size)


class Frames:
    """Answers frames."""

    def __init__(self, models: Models, *, deadline_s: float) -> None:
        self._models = models
        self._deadline_ns = int(deadline_s * 1e9)
        self._plans: dict[bytes, Plan] = {}  # heads that were read before

    def run(
        self, head: bytes, body: memoryview, *, arrived_ns: int, within_ms: int, give: Give
    ) -> Inference | None:
        """Call ``give`` once with the answer, perhaps before this returns.

        ``body`` stays as it is until then. Returns what the client may leave.
        """
        try:
            start = time.perf_counter_ns()
            plan = self._plans.get(head)
            if plan is None or plan.live is not self._models.get(plan.live.model):
                plan = self._plan(head)
            if len(body) != plan.body_bytes:
                raise InvalidArgumentError(
                    f"the head says {plan.body_bytes} bytes, the body has {len(body)}"
                )
            one = Inference(
                plan.live,
                plan.signature,
                plan.arrays(body),
                then=partial(_answer, plan, give),
                arrived_ns=arrived_ns,
                start_ns=start,
                deadline_ns=arrived_ns + (within_ms * 1_000_000 or self._deadline_ns),
            )
            plan.live.lane.submit(one)
        except (RefusalError, LittoralError) as e:
            give(refused(e))
            return None
        return one

    def describe(self, head: bytes) -> bytes:
        """Return what there is to know of a model."""
        try:
            asked = frames.read(frames.Describe, head)
            live = self._find(asked.model, asked.release)
        except (RefusalError, LittoralError) as e:
            return refused(e)
        told = frames.Described(
            model=live.model,
            release=live.release,
            label=live.label,
            signatures={
                name: frames.Signature(
                    inputs=tuple(_spec(view, view.spec.shape) for view in signature.inputs),
                    outputs=tuple(_spec(view, view.spec.shape) for view in signature.outputs),
                )
                for name, signature in live.signatures.items()
            },
        )
        return frames.begin(Kind.DESCRIBED, frames.head(told))

    def _plan(self, head: bytes) -> Plan:
        asked = frames.read(frames.Run, head)
        live = self._find(asked.model, asked.release)
        name = asked.signature or DEFAULT
        signature = live.signatures.get(name)
        if signature is None:
            raise UnknownServableError(
                f"{live.model} has no signature {name!r}; there are: {', '.join(live.signatures)}"
            )
        plan = Plan(asked, live, signature)
        if len(head) <= _LONGEST_KEPT:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()  # also of releases that answer no more
            self._plans[head] = plan
        return plan

    def _find(self, model: str, release: int | None) -> Live:
        live = self._models.get(model)
        if live is None or release not in (None, live.release):
            which = model if release is None else f"{model}, release {release}"
            raise UnknownServableError(f"nothing answers for {which}")
        return live


def refused(error: Exception) -> bytes:
    """Return ``error`` as a frame."""
    if isinstance(error, MalformedError):
        code = "denied"  # a head: the frame itself was one
    elif isinstance(error, LittoralError):
        code = error.code
    else:
        code = _CODES.get(type(error), "defect")
    return frames.refusal(code, str(error))


def _answer(plan: Plan, give: Give, one: Inference) -> None:
    start = time.perf_counter_ns()
    try:
        data = plan.answer(one.outputs())
    except (RefusalError, BackendError) as e:
        data = refused(e)
    except Exception:
        log.exception("%s: its answer cannot be written", one.live.model)
        data = DEFECT
    else:
        give(data)
        one.answered(postprocess_ns=time.perf_counter_ns() - start)
        return
    give(data)


def _place(view: View, spec: Spec, at: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    if spec.dtype != view.dtype:
        raise InvalidArgumentError(
            f"input {view.name!r}: expected {view.dtype}, found {spec.dtype}"
        )
    return spec.shape, np.dtype(spec.dtype), at


def _spec(view: View, shape: tuple[int, ...]) -> Spec:
    return Spec(view.name, cast("Dtype", view.dtype), shape)
