"""Calls that end while their message is read, whether or not their clients hear of it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import grpc
import pytest
from grpc import aio

from littoral_serve.http.bodies import Bodies
from littoral_serve.protocols.rpc.answering import Call, Service
from littoral_serve.protocols.rpc.listener import Limits, Listener
from littoral_serve.protocols.rpc.reading import Reading
from patience import patient
from simulators.calls import PREFACE, WIDE, Client, Deaf, call, run, until
from simulators.clock import Clock

MiB = 1024 * 1024
MUCH = 8 * MiB  # more than a socket takes from who does not read
LATE = (grpc.StatusCode.DEADLINE_EXCEEDED, "too late")


async def begun(here: Reading, client: Client) -> asyncio.Task[Any]:
    task = asyncio.create_task(here.read(client))
    await asyncio.sleep(0)
    return task


def test_whose_message_came_before_it_is_told_is_not_ended() -> None:
    async def main() -> None:
        here, client = Reading(Clock()), Client()
        reads = await begun(here, client)
        client.message.set_result(b"in time")
        here.end(client, LATE)
        assert await reads == b"in time"
        await asyncio.sleep(0)
        assert client.ended is None

    run(main)


def test_who_does_not_hear_of_it_is_forgotten_and_nobody_waits_for_that() -> None:
    async def main() -> None:
        clock = Clock()
        here, deaf, other = Reading(clock), Deaf(), Client()
        tasks = [await begun(here, one) for one in (deaf, other)]
        assert here.waited() == [(deaf, Clock.now), (other, Clock.now)]
        here.end(deaf, LATE)
        await asyncio.sleep(0)
        assert deaf.ended is LATE[0]
        assert (here.waited(), here.ended()) == ([(other, Clock.now)], 1)
        clock.now = Clock.now + 1
        here.sweep()
        await asyncio.sleep(0)
        assert not tasks[0].done()
        clock.now = Clock.now + 1.1
        here.sweep()
        await asyncio.wait(tasks[:1])
        assert tasks[0].cancelled()
        assert (deaf in here, other in here, here.ended()) == (False, True, 0)
        assert len(asyncio.all_tasks()) == 3  # this one, run's and the other's
        tasks[1].cancel()

    run(main)


@contextmanager
def connected(bound: str) -> Iterator[socket.socket]:
    """Connect, so that little is received before it is read."""
    unix = bound.startswith("/")
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        host, _, port = bound.rpartition(":")
        made.connect(bound if unix else (host, int(port)))
        yield made


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_clients_that_take_nothing_keep_nobody_waiting(
    way: Literal["tcp", "unix"], tmp_path: Path
) -> None:
    """Each asks for much, reads nothing of it, and begins a message: no status can reach it."""

    async def much(_: Call) -> bytes:
        return bytes(MUCH)

    async def size(call: Call) -> bytes:
        return b"%d" % len(call.data)

    async def main() -> None:
        limits = Limits(
            max_message_bytes=32 * MiB,
            max_calls=64,
            receive_timeout_s=patient(10),
            keep_alive_s=60,
            deadline_s=60,
        )
        bodies = Bodies(64 * MiB)  # so two are read at a time
        listener = Listener([Service("s", {"Much": much, "Size": size})], limits, bodies)
        bound = await listener.start("127.0.0.1:0" if way == "tcp" else str(tmp_path / "s"))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(listener.stop, within_s=0)
            sockets = stack.enter_context(ExitStack())
            hang = [sockets.enter_context(connected(bound)) for _ in range(6)]
            for one in hang:
                one.sendall(PREFACE + WIDE + call("/s/Much", 1, b"x", size=1, flags=1))
            await until(lambda: len(listener._outlet._going) == 6)
            for one in hang:
                one.sendall(call("/s/Size", 3, b"some", size=MiB))
            await until(lambda: len(listener._intake._waiting) == 4)
            channel = await stack.enter_async_context(
                aio.insecure_channel(bound if way == "tcp" else f"unix:{bound}")
            )
            slow = channel.stream_unary("/s/Size")()
            assert await channel.unary_unary("/s/Size")(bytes(10)) == b"10"
            assert await slow.code() in {LATE[0], grpc.StatusCode.RESOURCE_EXHAUSTED}  # in time
            sockets.close()

    run(main)
