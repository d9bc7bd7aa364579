"""Calls of gRPC whose message comes when a test says so, or not at all."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

import grpc
from grpc import aio

from faults.protocols_made import http2_frame, http2_string
from patience import patient

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WIDE = (  # settings: all of an answer may come, and all answers
    http2_frame(4, 0, 0, struct.pack(">HI", 4, 2**31 - 1))
    + http2_frame(8, 0, 0, struct.pack(">I", 2**31 - 1 - 65535))
)


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


class Deaf(Client):
    """One whose client takes nothing from its connection."""

    async def abort(self, code: grpc.StatusCode, _: str) -> None:
        self.ended = code
        await asyncio.Event().wait()


def call(path: str, number: int, message: bytes, *, size: int, flags: int = 0) -> bytes:
    """Return a call, and as much of its message, which has ``size``."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    head = b"".join(
        b"\x00" + http2_string(name) + http2_string(value) for name, value in fields.items()
    )
    data = struct.pack(">BI", 0, size) + message
    return http2_frame(1, 4, number, head) + http2_frame(0, flags, number, data)
