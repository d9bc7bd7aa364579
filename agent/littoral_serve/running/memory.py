"""Which releases are in memory, within a budget: those that nobody asked for longest go first.

A release that was unloaded keeps its queue, its counts and its place. Whoever asks for it next
waits until it is loaded again, and is answered. What is pinned stays.
"""

import asyncio
import ctypes
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from littoral import journal_log
from littoral.errors import BackendError, LittoralError
from littoral.sizes import size
from littoral_serve.running.runners import Done, Outputs, Runner

log = logging.getLogger(__name__)

_CLOCK: Final = time.monotonic_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """What one release takes, and when it was last asked."""

    bytes: int
    used_ns: int
    pinned: bool


def to_unload(held: Sequence[Resident], *, budget_bytes: int, keep: int) -> list[int]:
    """Return which of ``held``, but the one at ``keep``, must go for the rest to fit.

    All that may go, where even that is not enough: a request is not refused for memory.
    """
    left = sum(one.bytes for one in held)
    found: list[int] = []
    for at in sorted(range(len(held)), key=lambda at: held[at].used_ns):
        if left <= budget_bytes:
            break
        if at != keep and not held[at].pinned:
            found.append(at)
            left -= held[at].bytes
    return found


def give_back() -> None:
    """Hand to the system what was freed: an allocator keeps it, and would take more instead.

    Measured with five models of 4 MB and room for two: 212 MiB without, which is more than all.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


class Residents:
    """The releases of this process that can be unloaded. All of it happens on the loop."""

    def __init__(self, *, budget_bytes: int, pinned: Iterable[str] = ()) -> None:
        self._budget, self._pinned = budget_bytes, frozenset(pinned)
        self._all: list[Sleeper] = []
        self._jobs: queue.SimpleQueue[Callable[[], None]] | None = None

    def do(self, job: Callable[[], None]) -> None:
        """Do ``job`` in the one thread that loads: each thread more has a heap of its own."""
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._jobs,), name="waker", daemon=True).start()
        self._jobs.put(job)

    @property
    def bounded(self) -> bool:
        return self._budget > 0

    def admit(self, one: "Sleeper") -> None:
        """Count ``one``, which is loaded, and unload what does not fit beside it."""
        if one not in self._all:
            self._all.append(one)
        self.make_room(one)

    def forget(self, one: "Sleeper") -> None:
        """Count ``one`` no more: nobody will ask for it."""
        if one in self._all:
            self._all.remove(one)

    def make_room(self, for_: "Sleeper") -> None:
        awake = [one for one in self._all if one.awake]
        held = [
            Resident(bytes=one.bytes, used_ns=one.used_ns, pinned=one.model in self._pinned)
            for one in awake
        ]
        going = to_unload(held, budget_bytes=self._budget, keep=awake.index(for_))
        for at in going:
            one = awake[at]
            one.sleep()
            log.info(
                "%s is unloaded: all models may take %s; it is loaded again when it is asked",
                *(one.model, size(self._budget)),
                extra=journal_log.about(one.model),
            )
        if going:
            self.do(give_back)


def _work(jobs: "queue.SimpleQueue[Callable[[], None]]") -> None:
    while True:
        jobs.get()()


class Sleeper:
    """A Runner that can be unloaded, and loads itself again for the next request.

    ``load`` returns what runs the release and how many bytes that took; it is called in the
    thread that loads, once at a time.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        model: str,
        taken: int,
        load: Callable[[], tuple[Runner, int]],
        residents: Residents,
    ) -> None:
        self.model, self.bytes, self.used_ns = model, taken, _CLOCK()
        self._runner: Runner | None = runner
        self._load, self._residents = load, residents
        self._waking: list[Callable[[Runner | BackendError], None]] = []

    @property
    def awake(self) -> bool:
        return self._runner is not None

    @property
    def width(self) -> int:
        return 1 if self._runner is None else self._runner.width

    @property
    def at_once(self) -> bool:
        return self._runner is not None and self._runner.at_once

    def sleep(self) -> None:
        """Let go of the session; a run that is under way ends first."""
        self._runner = None

    def run(self, inputs: Outputs, done: Done) -> None:
        self.used_ns = _CLOCK()
        if self._runner is not None:
            self._runner.run(inputs, done)
            return

        def then(found: Runner | BackendError) -> None:
            if isinstance(found, BackendError):
                done(found, 0)
            else:
                found.run(inputs, done)

        self._wake(then)

    async def weigh(self, inputs: Outputs) -> tuple[Outputs, int]:
        if self._runner is None:
            woken: asyncio.Future[Runner | BackendError] = asyncio.Future()
            self._wake(lambda found: None if woken.done() else woken.set_result(found))
            found = await woken
            if isinstance(found, BackendError):
                raise found
            return await found.weigh(inputs)
        return await self._runner.weigh(inputs)

    def _wake(self, then: Callable[[Runner | BackendError], None]) -> None:
        self._waking.append(then)
        if len(self._waking) > 1:
            return
        loop = asyncio.get_running_loop()

        def work() -> None:
            found: tuple[Runner, int] | BackendError
            try:
                found = self._load()
            except LittoralError as e:
                found = BackendError(f"{self.model} cannot be loaded again: {e}")
            except Exception as e:  # noqa: BLE001 (a thread that dies would answer nobody)
                found = BackendError(f"{self.model} cannot be loaded again: {e!r}")
            loop.call_soon_threadsafe(self._woken, found)

        self._residents.do(work)

    def _woken(self, found: tuple[Runner, int] | BackendError) -> None:
        waiting, self._waking = self._waking, []
        if isinstance(found, BackendError):
            log.error("%s [%s]", found, found.code, extra=journal_log.about(self.model))
            woken: Runner | BackendError = found
        else:
            woken, self.bytes = found
            self._runner, self.used_ns = woken, _CLOCK()
            self._residents.make_room(self)
        for then in waiting:
            then(woken)
