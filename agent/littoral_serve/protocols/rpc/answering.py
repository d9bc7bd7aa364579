"""What services have in common: who calls, how a release is asked, why a call is refused.

Knows no gRPC: a service takes bytes and gives bytes, and a listener turns what it raises into a
status. So it is known here which status that is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral_serve.protocols.rpc.decoding import WireError
from littoral_serve.running.inference import Inference
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    LeftError,
    OverloadedError,
    RefusalError,
    UnknownServableError,
)
from littoral_serve.running.signatures import Signature


class PreconditionError(RefusalError):
    """The release has not what is asked of it."""


class ForbiddenError(RefusalError):
    """Clients may not ask this: it is the agent's to decide."""


class UnsupportedError(RefusalError):
    """Nobody does that here."""


CODES: Final[dict[type[Exception], str]] = {  # the names of gRPC's codes
    InvalidArgumentError: "INVALID_ARGUMENT",
    WireError: "INVALID_ARGUMENT",
    UnknownServableError: "NOT_FOUND",
    PreconditionError: "FAILED_PRECONDITION",
    ForbiddenError: "PERMISSION_DENIED",
    UnsupportedError: "UNIMPLEMENTED",
    OverloadedError: "RESOURCE_EXHAUSTED",
    LateError: "DEADLINE_EXCEEDED",
    LeftError: "CANCELLED",
    BackendError: "INTERNAL",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it brings, and when (perf_counter_ns) it came and is no longer wanted."""

    data: bytes
    arrived_ns: int
    deadline_ns: int


Unary = Callable[[Call], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Service:
    """A service's full name, and what answers its methods; of a stream, each message."""

    name: str
    unary: Mapping[str, Unary]
    streams: Mapping[str, Unary] = field(default_factory=dict)


class Leavable(Protocol):
    """What is under way for a client, who may leave."""

    def leave(self) -> None: ...


T = TypeVar("T", bound=Leavable)


async def ended(begin: Callable[[Callable[[object], None]], T]) -> T:
    """Return what ``begin`` starts, when it has called what it is given here.

    Whoever is cancelled meanwhile has left it.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(_: object) -> None:
        if not done.done():
            done.set_result(None)

    one = begin(end)
    try:
        await done
    except asyncio.CancelledError:
        one.leave()
        raise
    return one


async def run(
    call: Call, live: Live, signature: Signature, arrays: Sequence[Array], *, start_ns: int
) -> Inference:
    """Return the inference, which was run or failed: ``outputs`` tells.

    Whoever is cancelled here leaves the queue.

    Raises:
        InvalidArgumentError: The arrays do not fit.
        OverloadedError: Too much waits.

    """

    def begin(end: Callable[[object], None]) -> Inference:
        one = Inference(
            live,
            signature,
            arrays,
            then=end,
            arrived_ns=call.arrived_ns,
            start_ns=start_ns,
            deadline_ns=call.deadline_ns,
        )
        live.lane.submit(one)
        return one

    return await ended(begin)


async def answer(
    call: Call,
    live: Live,
    signature: Signature,
    arrays: Sequence[Array],
    *,
    start_ns: int,
    write: Callable[[Sequence[Array]], bytes],
) -> bytes:
    """Return what ``write`` makes of the outputs. Raises as ``run``, and what went wrong."""
    one = await run(call, live, signature, arrays, start_ns=start_ns)
    start = time.perf_counter_ns()
    made = write(one.outputs())
    one.answered(postprocess_ns=time.perf_counter_ns() - start)
    return made
