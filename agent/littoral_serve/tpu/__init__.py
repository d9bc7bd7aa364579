"""Models on Edge TPUs: a process for each TPU, which may be lost. It knows no protocol."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from littoral_serve.settings import Settings

if TYPE_CHECKING:
    from littoral_serve.tpu.pool import Lent, Pool


class Tpus:
    """The TPUs of this machine, looked for with the first model for one: most have none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None

    def get(self) -> "Pool":
        if self._pool is None:
            from littoral_serve.tpu.pool import Pool
            from littoral_serve.tpu.seat import Limits

            limits = Limits(
                invoke_s=self._settings.edgetpu_invoke_s,
                wait_s=self._settings.deadline_s,
                address_space_bytes=self._settings.trial_address_space_bytes,
            )
            self._pool = Pool(self._settings.edgetpus, limits=limits)
        return self._pool

    @contextlib.asynccontextmanager
    async def lent(self) -> "AsyncIterator[Lent]":
        """Give a trial the TPU that it may open; requests go elsewhere or wait meanwhile."""
        async with self.get().lent() as lent:
            yield lent

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
