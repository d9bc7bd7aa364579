"""Has a candidate tried in a process of its own, and says what that one's end means.

Serving goes on meanwhile.
"""

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from littoral import records
from littoral.bundle import verified
from littoral.errors import (
    CrashError,
    DeadlineError,
    LittoralError,
    MemoryBudgetError,
    UnreachableError,
)
from littoral.model.backends import backend_for
from littoral.tree import Tree
from littoral.wire.control import Failure, Tried, Try
from littoral_serve.settings import Settings
from littoral_serve.trials.starting import started
from littoral_serve.trials.trial import DENIED, MAX_BYTES, Order

if TYPE_CHECKING:
    from littoral_serve.tpu.orders import Lent

_TAIL_BYTES: Final = 4096
_GPUS: Final = ("cuda", "tensorrt")
_OUT_OF_MEMORY: Final = (
    "bad_alloc",
    "MemoryError",
    "out of memory",
    "Cannot allocate memory",
    "failed to map segment",
)


class UntriedError(LittoralError):
    """The model could not be tried at all; ``failure`` says why, with its own code."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the trial ended; ``status`` as subprocess has it, None where the deadline ended it."""

    status: int | None
    out: bytes
    err: str


async def run(
    order: Try,
    *,
    tree: Tree,
    settings: Settings,
    engines: Path | None = None,
    lent: "Lent | None" = None,
) -> Tried:
    """Try the candidate in a process of its own; on the TPU that is ``lent`` to it, if one is.

    What TensorRT builds of it meanwhile is kept in ``engines`` if it passes.

    Raises:
        UntriedError: Its files are not what was signed, or this machine has no runtime for it,
            or nobody can tell how the trial ended.
        LittoralError: The release is not here.

    """
    asked = Order(
        model=order.model,
        manifest=order.manifest,
        variant=order.variant,
        hardware=order.hardware,
        address_space_bytes=settings.trial_address_space_bytes,
        cpu_s=max(1, math.ceil(order.deadline_s)),
        nice=settings.trial_nice,
        gpu=order.hardware in _GPUS,
        library=lent.library if lent is not None else "",
        tpu=lent.device if lent is not None else "",
        taken=lent.taken if lent is not None else (),
    )
    try:
        async with _building(asked, tree=tree, engines=engines) as building:
            end = await _watch(
                asked, tree=tree, deadline_s=order.deadline_s, folder=building.folder
            )
            tried = verdict(end, deadline_s=order.deadline_s)
            if tried.code is None:
                await asyncio.to_thread(building.keep)
            return tried
    except UnreachableError as e:
        raise UntriedError(Failure(code=e.code, error=str(e))) from e


def verdict(end: End, *, deadline_s: float) -> Tried:
    """Say what ``end`` means.

    Raises:
        UntriedError: The trial says that there was nothing to try.

    """
    status = end.status
    with contextlib.suppress(records.RecordError):
        if status == 0:
            return records.from_json(Tried, end.out, limit=MAX_BYTES)
        if status == DENIED:
            raise UntriedError(records.from_json(Failure, end.out, limit=MAX_BYTES))
    if status is None:
        return Tried(code=DeadlineError.code, detail=f"it did not end within {deadline_s:g} s")
    if status == -signal.SIGXCPU:
        most_s = max(1, math.ceil(deadline_s))
        return Tried(
            code=DeadlineError.code, detail=f"it did not end within {most_s} s of CPU time"
        )
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """Where TensorRT finds or leaves an engine, and what keeps the one that it left."""

    folder: Path | None = None
    keep: Callable[[], None] = lambda: None


@contextlib.asynccontextmanager
async def _building(order: Order, *, tree: Tree, engines: Path | None) -> AsyncIterator[Building]:
    manifest = verified.read_manifest(tree, order.manifest, model=order.model)
    variant = manifest.variant(order.variant)
    if engines is None or variant.engine != "onnx" or backend_for(variant) != "tensorrt":
        yield Building()
        return
    from littoral_serve.running.engines import Engines

    held, model = Engines(engines), manifest.files[variant.files[0]].sha256
    found = await asyncio.to_thread(held.find, model)
    if found is not None:
        yield Building(folder=found)
        return
    with held.stage() as staged:
        yield Building(folder=staged, keep=partial(held.keep, staged, model))


async def _watch(order: Order, *, tree: Tree, deadline_s: float, folder: Path | None = None) -> End:
    with _opened(tree, order, folder) as files:
        # A TPU is serve's own to open: the unit of a trial sees no device.
        where = None if order.library or order.hardware.startswith("edgetpu") else tree.trial
        async with started(order, files, where=where) as running:
            try:
                async with asyncio.timeout(deadline_s):
                    out, err, status = await asyncio.gather(
                        _capped(running.out), _tail(running.err), running.wait()
                    )
            except TimeoutError:
                return End(status=None, out=b"", err="")
    return End(status=status, out=out, err=err)


@contextlib.contextmanager
def _opened(tree: Tree, order: Order, folder: Path | None) -> Iterator[list[int]]:
    """Give descriptors of the release's files, as ``trial.FILES`` says, and of ``folder``."""
    manifest = verified.read_manifest(tree, order.manifest, model=order.model)
    chosen = manifest.variant(order.variant)
    test = manifest.selftest_for(chosen)
    with contextlib.ExitStack() as kept:

        def keep(fd: int) -> int:
            kept.callback(os.close, fd)
            return fd

        told = keep(verified.open_manifest(tree, order.manifest))
        names = (chosen.files[0], test.inputs, test.outputs)
        files = [told, *(keep(verified.open_file(tree, manifest, name)) for name in names)]
        if folder is not None:
            files.append(keep(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)))
        yield files


async def _capped(stream: asyncio.StreamReader) -> bytes:
    """Read to the end, and keep one byte more than may be: enough to be refused."""
    kept = b""
    while part := await stream.read(MAX_BYTES):
        kept = (kept + part)[: MAX_BYTES + 1]
    return kept


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while part := await stream.read(_TAIL_BYTES):
        kept = (kept + part)[-_TAIL_BYTES:]
    return kept.decode(errors="replace")
