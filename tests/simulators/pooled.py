"""Edge TPUs in a pool, with real children, and what they are asked."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from littoral.errors import BackendError
from littoral.model import probing
from littoral_serve.running.runners import Outputs
from littoral_serve.tpu.life import State
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.orders import Limits
from littoral_serve.tpu.pool import Pool
from simulators.served import alive

COMPILED = (Path(probing.__file__).parent / "probes/edgetpu.tflite").read_bytes()
LIMITS = Limits(invoke_s=1.0, first_pause_s=0.05, most_pause_s=0.2)
ASKED = (np.array([[1, 2, 3, 4]], np.uint8),)


def model(data: bytes = COMPILED, *, folder: Path, open_: Callable[[], int] | None = None) -> Model:
    """Return ``data`` as a model, whose tensors are those of the probe."""
    from littoral.model import graph

    read = graph.read(COMPILED)
    path = folder / "model.tflite"
    path.write_bytes(data)
    ins, outs = ([read.tensors[k].spec() for k in ks] for ks in (read.inputs, read.outputs))
    return Model(
        "digits",
        open_=open_ or (lambda: os.open(path, os.O_RDONLY)),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        inputs=tuple(ins),
        outputs=tuple(outs),
    )


async def run(pool: Pool, one: Model) -> Outputs | BackendError:
    found: asyncio.Future[Outputs | BackendError] = asyncio.Future()
    pool.run(one, ASKED, lambda made, *_: found.set_result(made))
    async with asyncio.timeout(20):
        return await found


async def ran(pool: Pool, one: Model) -> bool:
    return not isinstance(await run(pool, one), BackendError)


async def until(check: Callable[[], bool], *, one: Model) -> None:
    """Wait until ``check`` holds, which is looked at whenever ``one`` changes."""
    changed = asyncio.Event()
    one.watch(changed.set)
    async with asyncio.timeout(20):
        while not check():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):  # a seat's state has no watcher
                    await changed.wait()
            changed.clear()


def pooled(
    use: Callable[[Pool, Model], Awaitable[None]],
    folder: Path,
    *devices: str,
    data: bytes = COMPILED,
) -> None:
    """Let ``use`` have a pool, with a model in it; no child is left."""

    async def work() -> None:
        pool, one = Pool(devices, limits=LIMITS), model(data, folder=folder)
        pool.add(one)
        try:
            await use(pool, one)
        finally:
            pids = [seat.pid for seat in pool.seats]
            await pool.close()
        assert not any(alive(str(pid)) for pid in pids)
        assert all(seat.state is State.OFF for seat in pool.seats)

    asyncio.run(work())
