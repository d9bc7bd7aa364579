"""A call of gRPC's whose message comes when a test says so."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
from grpc import aio

from patience import patient


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), patient(30)))


async def until(check: Callable[[], object]) -> None:
    while not check():  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(0.001)


class Client:
    """A call, or a stream, whose message comes when it is told to."""

    def __init__(self) -> None:
        self.message: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.asked = False
        self.ended: grpc.StatusCode | None = None

    async def read(self) -> object:
        self.asked = True
        return await self.message

    async def abort(self, code: grpc.StatusCode, _: str) -> None:
        self.ended = code
        self.message.set_exception(aio.AbortError())
        raise aio.AbortError
