"""Frames: the fast path of programs on this machine. Knows what is said; knows no socket.

A head that was read once is kept with all that follows from it, so that a request of the same
kind costs a look into a dictionary. docs/frames.md says what is said.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from littoral.errors import BackendError, LittoralError, MalformedError
from littoral.model.backends import Array
from littoral.wire import frames
from littoral.wire.frames import Kind
from littoral_serve.protocols.frames_plan import Plan, spec_of
from littoral_serve.running.inference import Inference
from littoral_serve.running.live import Live, Models
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    OverloadedError,
    RefusalError,
    UnknownServableError,
)
from littoral_serve.running.signatures import DEFAULT

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


class Question:
    """A frame that was read. It may be asked again, as long as its body is in the same place."""

    __slots__ = ("arrays", "body", "head", "plan", "within_ns")

    def __init__(self, head: bytes, body: memoryview, *, within_ns: int) -> None:
        self.head, self.body, self.within_ns = head, body, within_ns
        self.plan: Plan | None = None
        self.arrays: list[Array] = []


class _Run(Inference):
    """One that knows who is told."""

    __slots__ = ("give", "plan")
    give: Give
    plan: Plan


class Frames:
    """Answers frames."""

    def __init__(self, models: Models, *, deadline_s: float) -> None:
        self._models = models
        self._deadline_ns = int(deadline_s * 1e9)
        self._plans: dict[bytes, Plan] = {}  # heads that were read before

    def question(self, head: bytes, body: memoryview, *, within_ms: int) -> Question:
        """Return what may be asked; nothing of it is looked at yet."""
        return Question(head, body, within_ns=within_ms * 1_000_000 or self._deadline_ns)

    def run(self, asked: Question, arrived_ns: int, give: Give) -> Inference | None:
        """Call ``give`` once with the answer, perhaps before this returns.

        The body stays as it is until then. Returns what the client may leave.
        """
        try:
            start = time.perf_counter_ns()
            plan = asked.plan
            live = None if plan is None else self._models.get(plan.model)
            if plan is None or live is None or plan.live() is not live:
                plan, live = self._plan(asked.head)
                asked.plan, asked.arrays = plan, plan.arrays(asked.body)
            one = _Run(
                live,
                plan.signature,
                asked.arrays,
                then=_answer,
                arrived_ns=arrived_ns,
                start_ns=start,
                deadline_ns=arrived_ns + asked.within_ns,
                count=plan.count,
            )
            one.give, one.plan = give, plan
            live.lane.submit(one)
        except (RefusalError, LittoralError) as e:
            asked.plan = None
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
                    inputs=tuple(spec_of(view, view.spec.shape) for view in signature.inputs),
                    outputs=tuple(spec_of(view, view.spec.shape) for view in signature.outputs),
                )
                for name, signature in live.signatures.items()
            },
        )
        return frames.begin(Kind.DESCRIBED, frames.head(told))

    def _plan(self, head: bytes) -> tuple[Plan, Live]:
        known = self._plans.get(head)
        if known is not None:
            running = self._models.get(known.model)
            if running is not None and known.live() is running:
                return known, running
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
        return plan, live

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


def _answer(one: Any) -> None:  # noqa: ANN401 (a _Run, which takes too long to be asked)
    start, give = time.perf_counter_ns(), one.give
    try:
        data = one.plan.answer(one.outputs())
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
