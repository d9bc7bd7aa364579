"""How a call ends without its answer: its client is told a status, or the library lets go of it.

What cannot be sent, since its client reads nothing, no status ends: the library sends that behind
it, and keeps both. It gives up a call where nobody holds it any more; so both its tasks are
cancelled, of which one is the library's own. No public way ends one call: here a context has no
cancel, pings are answered by who reads nothing, and max_connection_age ends everybody's calls.
"""

import asyncio
import gc
from collections.abc import Collection
from typing import Any, Final

import grpc

_KEEPS: Final = "_schedule_rpc_coro"  # the library's: it holds a call until the client ends it

Status = tuple[grpc.StatusCode, str]
Task = asyncio.Task[Any]


def own_task() -> Task:
    """Return the task of the call that asks."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (each call has its own)
    return task


def forget(calls: Collection[Task]) -> None:
    """Let go of calls, so that the library does."""
    ids = {id(task) for task in calls}
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == _KEEPS and ids & _held(task):
            task.cancel()
    for task in calls:
        task.cancel()


def _held(task: Task) -> set[int]:
    """Return what a task of the library holds, which it shows to the collector only: the ids."""
    return set(map(id, gc.get_referents(*gc.get_referents(task.get_coro()))))
