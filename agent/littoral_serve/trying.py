"""Runs a trial in its child, and says what its end means. Serving goes on meanwhile."""

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral import records
from littoral.errors import CrashError, DeadlineError, LittoralError, MemoryBudgetError
from littoral.wire.control import Failure, Tried, Try
from littoral_serve.settings import Settings
from littoral_serve.trial import DENIED, MAX_BYTES, Order

_TAIL_BYTES: Final = 4096
_OUT_OF_MEMORY: Final = (
    "bad_alloc",
    "MemoryError",
    "out of memory",
    "Cannot allocate memory",
    "failed to map segment",
)
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")


class UntriedError(LittoralError):
    """The child could not try the model at all; ``failure`` says why, with its own code."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the child ended; ``status`` as subprocess has it, None where the deadline ended it."""

    status: int | None
    out: bytes
    err: str


async def run(order: Try, *, data: Path, settings: Settings) -> Tried:
    """Try the candidate in a child.

    Raises:
        UntriedError: Its files are not what was signed, or this machine has no runtime for it.

    """
    asked = Order(
        data=data,
        model=order.model,
        manifest=order.manifest,
        variant=order.variant,
        hardware=order.hardware,
        address_space_bytes=settings.trial_address_space_bytes,
        cpu_s=max(1, math.ceil(order.deadline_s)),
        nice=settings.trial_nice,
        parent=os.getpid(),
    )
    return verdict(await _watch(asked, deadline_s=order.deadline_s), deadline_s=order.deadline_s)


def verdict(end: End, *, deadline_s: float) -> Tried:
    """Say what ``end`` means.

    Raises:
        UntriedError: The child says that there was nothing to try.

    """
    status = end.status
    with contextlib.suppress(records.RecordError):
        if status == 0:
            return records.from_json(Tried, end.out, limit=MAX_BYTES)
        if status == DENIED:
            raise UntriedError(records.from_json(Failure, end.out, limit=MAX_BYTES))
    if status is None or status == -signal.SIGXCPU:
        return Tried(code=DeadlineError.code, detail=f"it did not end within {deadline_s:g} s")
    # Nobody but the kernel, out of memory, kills it with a signal that cannot be caught.
    if status == -signal.SIGKILL or any(words in end.err for words in _OUT_OF_MEMORY):
        return Tried(code=MemoryBudgetError.code, detail=f"out of memory; {_how(status)}")
    last = end.err.strip().rpartition("\n")[2][-200:]
    return Tried(code=CrashError.code, detail=f"{_how(status)}: {last}" if last else _how(status))


def _how(status: int) -> str:
    if status >= 0:
        return f"the process ended with {status}"
    try:
        return f"the process was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was ended by signal {-status}"


async def _watch(order: Order, *, deadline_s: float) -> End:
    async with _child(order) as child:
        try:
            async with asyncio.timeout(deadline_s):
                out, err, status = await asyncio.gather(
                    _capped(child.stdout), _tail(child.stderr), child.wait()
                )
        except TimeoutError:
            return End(status=None, out=b"", err="")
        return End(status=status, out=out, err=err)


@contextlib.asynccontextmanager
async def _child(order: Order) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "littoral_serve.trial", records.to_json(order).decode()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


async def _capped(stream: asyncio.StreamReader | None) -> bytes:
    """Read to the end, and keep one byte more than may be: enough to be refused."""
    kept = b""
    while stream is not None and (part := await stream.read(MAX_BYTES)):
        kept = (kept + part)[: MAX_BYTES + 1]
    return kept


async def _tail(stream: asyncio.StreamReader | None) -> str:
    kept = b""
    while stream is not None and (part := await stream.read(_TAIL_BYTES)):
        kept = (kept + part)[-_TAIL_BYTES:]
    return kept.decode(errors="replace")
