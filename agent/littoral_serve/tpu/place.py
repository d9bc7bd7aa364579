"""A compiled model's place among the others: run on TPUs, or by its twin while they are away.

Requests that come while no TPU has the model are the twin's: they wait in its queue and are counted
as its own. Those that are on their way to a TPU when it is lost are run by the twin, too, so that
none fails for it.
"""

import asyncio
import contextlib
import logging
import weakref
from typing import Final

from littoral import journal_log
from littoral.errors import BackendError, BackendMissingError
from littoral_serve.running.live import Live
from littoral_serve.running.runners import Done, Outputs, Runner, settle
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.pool import Pool

_LOOK_S: Final = 0.1  # at seats whose change no model is told of

log = logging.getLogger(__name__)


class OnTpu:
    """The Runner of a compiled model."""

    at_once = False

    def __init__(self, pool: Pool, model: Model, twin: Runner | None) -> None:
        self._pool, self._model, self._twin = pool, model, twin

    @property
    def width(self) -> int:
        return max(1, self._pool.width(self._model))

    def run(self, inputs: Outputs, done: Done) -> None:
        twin = self._twin
        if twin is not None and not self._pool.holds(self._model):
            twin.run(inputs, done)
            return

        def then(made: Outputs | BackendError, took: int, _: int) -> None:
            if twin is not None and isinstance(made, BackendMissingError):
                twin.run(inputs, done)
            else:
                done(made, took)

        self._pool.run(self._model, inputs, then)

    async def weigh(self, inputs: Outputs) -> tuple[Outputs, int]:
        """Return the outputs, and the ns that the runtime took: the time is the TPU's."""
        weighed: asyncio.Future[tuple[Outputs, int]] = asyncio.get_running_loop().create_future()

        def then(made: Outputs | BackendError, _: int, ns: int) -> None:
            settle(weighed, made, ns)

        self._pool.run(self._model, inputs, then)
        return await weighed


class TpuPlace:
    """Where a compiled model runs, and its twin, which answers while no TPU does."""

    def __init__(self, pool: Pool, model: Model, twin: Live | None) -> None:
        self.twin, self.stands_in = twin, False
        self._pool, self._model, self._begun = pool, model, False

    @property
    def lost(self) -> bool:
        return self._begun and self._pool.hopeless(self._model)

    def begin(self) -> None:
        """Have the model loaded; until it is, its twin answers."""
        if self._begun:
            return
        self._begun = True
        self._look()
        # The model may not hold what ends it.
        mine = weakref.WeakMethod(self._look)
        self._model.watch(lambda: (look := mine()) and look())
        loop = asyncio.get_running_loop()
        weakref.finalize(self, _drop, loop, self._pool, self._model).atexit = False
        self._pool.add(self._model)

    async def settled(self) -> None:
        """Have it loaded, and wait until it is, or nothing is under way by which it would be.

        Raises:
            LittoralError: No TPU will have it, and why.

        """
        self.begin()
        changed = asyncio.Event()
        self._model.watch(changed.set)
        while not self._pool.holds(self._model):
            if self._model.refusal is not None:
                raise self._model.refusal
            if self._pool.hopeless(self._model):
                return
            changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await changed.wait()

    def _look(self) -> None:
        away = not self._pool.holds(self._model)
        if away == self.stands_in or self.twin is None:
            return
        self.stands_in = away
        about = journal_log.about(self.twin.model, release=self.twin.release)
        if away:
            why = self._model.refusal or "no Edge TPU has it"
            said = "%s runs on the processor, as %s: %s"
            log.warning(said, self.twin.model, self.twin.variant, why, extra=about)
        else:
            log.info("%s runs on the Edge TPU", self.twin.model, extra=about)


def _drop(loop: asyncio.AbstractEventLoop, pool: Pool, model: Model) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: so are all children
        loop.call_soon_threadsafe(pool.drop, model)
