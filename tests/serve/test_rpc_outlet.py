"""Answers over gRPC that nobody reads: counted while they are on their way, and ended."""

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.protocols.rpc.answering import Call, Service
from littoral_serve.protocols.rpc.listener import Limits, Listener
from littoral_serve.protocols.rpc.outlet import UNREAD, Outlet, told
from simulators.calls import PREFACE, WIDE, call, run, until
from simulators.clock import Clock

MiB = 1024 * 1024
MUCH = 8 * MiB  # more than is sent to who does not read: the library's clients let 4 MiB come
ALONE = [  # a channel's connection is its own, and any answer may come there
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
]
OK = grpc.StatusCode.OK
WAYS = ["/s/Ask", "/s/Flow"]  # a call, and a stream


class Client:
    """A stream whose answer is read when that is told."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()

    async def write(self, _: bytes) -> None:
        await self.reads.wait()


def outlet(clock: Clock | None = None) -> tuple[Outlet, Bodies]:
    bodies = Bodies(MiB)
    return Outlet(bodies, within_s=30, clock=clock or Clock()), bodies


def test_an_answer_counts_among_the_bodies_until_it_is_sent() -> None:
    async def main() -> None:
        here, bodies = outlet()
        client = Client()
        writing = asyncio.create_task(here.write(client, bytes(MiB)))
        await asyncio.sleep(0)
        assert bodies.held == MiB - OWN
        client.reads.set()
        await writing
        assert bodies.held == 0

        async def answered() -> None:
            here.last(bytes(MiB))
            await asyncio.sleep(0)  # the library sends it

        sending = asyncio.create_task(answered())
        await asyncio.sleep(0)
        assert bodies.held == MiB - OWN
        await sending
        await until(lambda: bodies.held == 0)

    run(main)


def test_where_there_is_no_room_a_large_one_is_refused_and_one_alone_never() -> None:
    async def main() -> None:
        here, bodies = outlet()
        assert not here.refuses(2 * MiB)
        writing = asyncio.create_task(here.write(Client(), bytes(2 * MiB)))
        await asyncio.sleep(0)
        assert not here.refuses(OWN)
        assert bodies.refused == 0
        assert here.refuses(OWN + 1)
        assert bodies.refused == 1
        writing.cancel()
        await asyncio.wait([writing])
        del writing  # which holds what it wrote, and itself
        gc.collect()
        here.sweep()
        assert not here.refuses(OWN + 1)

    run(main)


def test_who_takes_too_long_is_ended_and_nobody_else() -> None:
    async def main() -> None:
        clock = Clock()
        here, bodies = outlet(clock)
        slow = asyncio.create_task(here.write(Client(), bytes(MiB)))
        await asyncio.sleep(0)
        clock.now = Clock.now + 1
        late = asyncio.create_task(here.write(Client(), b"small"))
        await asyncio.sleep(0)
        clock.now = Clock.now + 30
        here.sweep()
        clock.now = Clock.now + 31
        here.sweep()
        await asyncio.wait([slow])
        assert slow.cancelled()
        del slow  # which holds what it wrote, and itself
        gc.collect()
        assert not late.done()
        clock.now = Clock.now + 32
        here.sweep()
        assert bodies.held == 0
        await asyncio.wait([late])

    run(main)


@asynccontextmanager
async def listening(
    *, within_s: float, path: Path | None = None
) -> AsyncIterator[tuple[Listener, Bodies, str]]:
    async def much(call: Call) -> bytes:
        return call.data * MUCH

    limits = Limits(
        max_message_bytes=MiB,
        max_calls=64,
        receive_timeout_s=within_s,
        keep_alive_s=60,
        deadline_s=60,
    )
    bodies = Bodies(2 * MiB)
    listener = Listener([Service("s", {"Ask": much}, {"Flow": much})], limits, bodies)
    try:
        yield listener, bodies, await listener.start(str(path or "127.0.0.1:0"))
    finally:
        await listener.stop(within_s=0)


async def asked(channel: aio.Channel, way: str, message: bytes) -> Any:
    flow = channel.stream_stream(way)()
    await flow.write(message)
    await flow.done_writing()
    return flow


async def answer(flow: Any) -> tuple[bytes, grpc.StatusCode]:
    return await flow.read(), await flow.code()


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_does_not_read_is_ended_and_what_it_was_to_be_sent_is_forgotten(
    way: str,
) -> None:
    async def main() -> None:
        async with (
            listening(within_s=0.2) as (listener, bodies, where),
            aio.insecure_channel(where, options=ALONE) as hangs,
            aio.insecure_channel(where, options=ALONE) as other,
        ):
            ask = other.unary_unary("/s/Ask")
            assert await ask(b"") == b""
            flow = await asked(hangs, way, b"x")
            await until(lambda: bodies.held == MUCH - OWN)
            await until(lambda: not listener._outlet._going)
            assert listener._streams._open == {}
            assert await ask(b"") == b""  # of the last call, the library forgets nothing sooner
            await until(lambda: bodies.held == 0)
            with pytest.raises(aio.AioRpcError) as ended:
                await flow.read()  # else there would be all of it
            assert ended.value.code() is grpc.StatusCode.CANCELLED

    run(main)


@pytest.mark.parametrize("way", WAYS)
def test_what_the_library_keeps_for_a_connection_that_takes_nothing_counts_until_that_ends(
    way: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with listening(within_s=0.2, path=tmp_path / "s") as (listener, bodies, where):
            with socket.socket(socket.AF_UNIX) as hangs:
                hangs.connect(where)
                hangs.sendall(PREFACE + WIDE + call(way, 1, b"x", size=1, flags=1))
                await until(lambda: bodies.held == MUCH - OWN)
                await until(lambda: listener._outlet._left)
                async with aio.insecure_channel(f"unix:{where}", options=ALONE) as other:
                    assert await other.unary_unary("/s/Ask")(b"") == b""
                    await asyncio.sleep(1.2)  # it is looked at
                    assert bodies.held == MUCH - OWN
                    late = await asked(other, way, b"x")
                    assert (await late.code(), await late.details()) == UNREAD
            await until(lambda: bodies.held == 0)
            assert not listener._outlet._left

    run(main)


@pytest.mark.parametrize("way", WAYS)
def test_while_one_does_not_read_small_answers_come_and_large_ones_are_refused(way: str) -> None:
    async def main() -> None:
        async with (
            listening(within_s=60) as (_, bodies, where),
            aio.insecure_channel(where, options=ALONE) as hangs,
            aio.insecure_channel(where, options=ALONE) as other,
        ):
            flow = await asked(hangs, way, b"x")
            await until(lambda: bodies.held)
            for one in WAYS:
                assert await answer(await asked(other, one, b"")) == (b"", OK)
                late = await asked(other, one, b"x")
                assert (await late.code(), await late.details()) == UNREAD
            assert bodies.refused == 2
            assert await answer(flow) == (b"x" * MUCH, OK)
            await until(lambda: not bodies.held)
            assert await answer(await asked(other, way, b"y")) == (b"y" * MUCH, OK)

    run(main)


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_leaves_in_an_answer_is_no_error(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with listening(within_s=60) as (listener, bodies, where):
            for _ in range(8):  # it is told of in most, not in all
                async with aio.insecure_channel(where, options=ALONE) as channel:
                    flow = await asked(channel, way, b"x")
                    await until(lambda: listener._outlet._going)
                    flow.cancel()
                    await until(lambda: not listener._outlet._going)
                    await until(lambda: not bodies.held)

    run(main)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_any_other_failure_of_the_library_is_told() -> None:
    def line(error: Exception | None) -> logging.LogRecord:
        info = (type(error), error, None) if error else None
        return logging.LogRecord("grpc", logging.ERROR, "", 1, "failed", (), info)

    assert told(line(None))
    assert told(line(aio.InternalError("Failed grpc_call_start_batch: 8")))
    assert not told(line(aio.InternalError('Failed "execute_batch": (…)')))
