"""Work in an event loop of its own: what it does with the processor delays nobody in this one."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine


async def apart(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Do ``work`` in another thread's event loop, until it ends or this is cancelled."""
    here, ended = asyncio.get_running_loop(), asyncio.Event()
    begun: asyncio.Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]]
    begun = here.create_future()
    errors: list[BaseException] = []

    async def there() -> None:
        task = asyncio.ensure_future(work())
        here.call_soon_threadsafe(begun.set_result, (asyncio.get_running_loop(), task))
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def run() -> None:
        try:
            asyncio.run(there())
        except BaseException as e:  # noqa: BLE001 (raised in the other loop)
            errors.append(e)
        here.call_soon_threadsafe(ended.set)

    threading.Thread(target=run, name="apart", daemon=True).start()
    loop, task = await begun
    try:
        await ended.wait()
    finally:
        if not ended.is_set():
            loop.call_soon_threadsafe(task.cancel)
            await asyncio.shield(ended.wait())
    if errors:
        raise errors[0]
