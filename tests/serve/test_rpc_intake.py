"""Messages that are read over gRPC: few at a time, and never the slow before the fast."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from faults.protocols_made import http2_frame
from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.protocols.rpc.answering import Call, Service
from littoral_serve.protocols.rpc.intake import Intake
from littoral_serve.protocols.rpc.listener import Limits, Listener
from simulators.calls import PREFACE, Client, Deaf, call, run
from simulators.clock import Clock
from simulators.served import FIXTURES, serving

MiB = 1024 * 1024
SETTINGS = http2_frame(4, 0, 0, b"")


def intake(clock: Clock | None = None) -> tuple[Intake, Bodies]:
    bodies = Bodies(3 * MiB)
    return Intake(bodies, places=3, within_s=30, clock=clock or Clock()), bodies


async def begun(here: Intake, count: int) -> tuple[list[Client], list[asyncio.Task[Any]]]:
    clients = [Client() for _ in range(count)]
    tasks = [asyncio.create_task(here.read(client)) for client in clients]
    await asyncio.sleep(0)
    return clients, tasks


async def swept(here: Intake) -> None:
    here.sweep()
    await asyncio.sleep(0)  # so clients are told,
    await asyncio.sleep(0)  # and who reads them hears of it


def test_as_many_are_read_as_there_would_be_room_for_and_the_last_is_the_next() -> None:
    async def main() -> None:
        here, bodies = intake()
        clients, tasks = await begun(here, 6)
        assert [one.asked for one in clients] == [True] * 3 + [False] * 3
        clients[1].message.set_result(b"x" * MiB)
        assert await tasks[1] == b"x" * MiB
        assert bodies.held == MiB - OWN
        await asyncio.sleep(0)
        assert [one.asked for one in clients] == [True] * 3 + [False, False, True]
        clients[0].message.set_result(aio.EOF)
        assert (await tasks[0])[0] is grpc.StatusCode.INVALID_ARGUMENT
        for one in (*clients[2:], *clients[3:5]):
            if not one.message.done():
                one.message.set_result(b"")
        assert [await task for task in tasks[2:]] == [b""] * 4

    run(main)


def test_who_is_slow_makes_room_where_others_wait() -> None:
    async def main() -> None:
        clock = Clock()
        here, bodies = intake(clock)
        slow, tasks = await begun(here, 3)
        clock.now = Clock.now + 20
        await swept(here)
        assert [one.ended for one in slow] == [None] * 3
        (late,), (waits,) = await begun(here, 1)
        assert not late.asked
        await swept(here)
        assert [one.ended for one in slow] == [grpc.StatusCode.RESOURCE_EXHAUSTED, None, None]
        assert bodies.refused == 1
        late.message.set_result(b"in time")
        assert await waits == b"in time"
        for one in slow[1:]:
            one.message.set_result(b"late")
        assert [await task for task in tasks[1:]] == [b"late"] * 2
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main)


def test_who_never_sends_is_told_and_so_is_who_waits_for_them() -> None:
    async def main() -> None:
        clock = Clock()
        here, bodies = intake(clock)
        slow, tasks = await begun(here, 4)
        clock.now = Clock.now + 31
        await swept(here)
        assert (await tasks[3])[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert {one.ended for one in slow[:3]} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert bodies.refused == 1  # the others found room
        await asyncio.gather(*tasks, return_exceptions=True)
        _, again = await begun(here, 3)
        assert here._free == 0
        for task in again:
            task.cancel()

    run(main)


def test_where_one_is_too_late_nobody_else_makes_room_for_one_that_waits() -> None:
    async def main() -> None:
        clock = Clock()
        here, _ = intake(clock)
        (late,), _ = await begun(here, 1)
        clock.now = Clock.now + 26
        slow, _ = await begun(here, 2)
        await begun(here, 1)
        clock.now = Clock.now + 31
        await swept(here)
        assert late.ended is grpc.StatusCode.DEADLINE_EXCEEDED
        assert [one.ended for one in slow] == [None, None]

    run(main)


def test_while_one_does_not_hear_that_it_ended_nobody_else_makes_room_for_who_waits() -> None:
    async def main() -> None:
        clock = Clock()
        here, _ = intake(clock)
        deaf = Deaf()
        ending = asyncio.create_task(here.read(deaf))
        slow, _ = await begun(here, 2)
        (late,), _ = await begun(here, 1)
        clock.now = Clock.now + 2
        await swept(here)
        clock.now = Clock.now + 2.5
        await swept(here)
        assert [one.ended for one in slow] == [None, None]
        assert deaf.ended is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert [late.asked] == [False]
        clock.now = Clock.now + 3.5
        await swept(here)
        assert ending.cancelled()
        assert [late.asked] == [True]
        assert [one.ended for one in slow] == [None, None]

    run(main)


def test_a_place_is_not_lost_with_who_leaves() -> None:
    async def main() -> None:
        here, _ = intake()
        clients, tasks = await begun(here, 6)
        tasks[5].cancel()  # it waits
        clients[0].message.set_result(b"")
        await asyncio.sleep(0)  # so the fifth is next,
        tasks[4].cancel()  # and leaves before it hears of it
        tasks[1].cancel()  # while it is read
        await asyncio.gather(*tasks[:2], *tasks[4:], return_exceptions=True)
        assert clients[3].asked
        for one in (clients[2], clients[3]):
            one.message.set_result(b"")
        await asyncio.gather(*tasks[2:4])
        assert (here._free, here._waiting, here._reading.waited()) == (3, {}, [])

    run(main)


def test_what_there_is_no_room_for_is_refused() -> None:
    async def main() -> None:
        here, bodies = intake()
        assert bodies.resize(0, 3 * MiB)
        clients, tasks = await begun(here, 2)
        clients[0].message.set_result(bytes(MiB))
        clients[1].message.set_result(bytes(OWN))
        assert (await tasks[0])[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await tasks[1] == bytes(OWN)
        assert bodies.held == 3 * MiB - OWN

    run(main)


def test_slow_clients_do_not_keep_a_fast_one_from_its_answer() -> None:
    async def size(call: Call) -> bytes:
        return b"%d" % len(call.data)

    async def main() -> None:
        limits = Limits(
            max_message_bytes=MiB,
            max_calls=64,
            receive_timeout_s=60,
            keep_alive_s=60,
            deadline_s=60,
        )
        bodies = Bodies(3 * MiB)
        listener = Listener([Service("s", {"Size": size})], limits, bodies)
        bound = await listener.start("127.0.0.1:0")
        host, _, port = bound.rpartition(":")
        async with AsyncExitStack() as stack:
            stack.push_async_callback(listener.stop, within_s=0)
            for _ in range(40):
                slow = stack.enter_context(socket.create_connection((host, int(port))))
                slow.sendall(PREFACE + SETTINGS + call("/s/Size", 1, bytes(1000), size=MiB))
            while len(listener._intake._waiting) < 37:  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(0)
            channel = await stack.enter_async_context(aio.insecure_channel(bound))
            ask = channel.unary_unary("/s/Size")
            assert await ask(bytes(10)) == b"10"
            assert await ask(bytes(MiB - 10)) == b"1048566"
        assert bodies.held == 0

    run(main)


def test_many_large_messages_are_not_all_here_at_once(tmp_path: Path) -> None:
    """They have 96 MiB together."""
    chosen = tmp_path / "serve.toml"
    chosen.write_text(f"bodies_bytes = {8 * MiB}\nmax_body_bytes = {4 * MiB}\n")
    words = ("--grpc=127.0.0.1:0", f"--settings={chosen}")
    with serving(f"--model=tiny={FIXTURES}/tiny_int8.tflite", *words) as serve:
        address = serve.ready["grpc"]

        def ask(message: bytes) -> str:
            alone = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(address, options=alone) as channel:
                with pytest.raises(grpc.RpcError) as told:
                    channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(message)
                return str(told.value.code().name)

        ask(b"x")
        before = serve.kib("VmHWM")
        with ThreadPoolExecutor(24) as clients:
            found = set(clients.map(ask, [bytes(4 * MiB - 100)] * 24))
        assert found <= {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
        assert serve.kib("VmHWM") - before < 45 * 1024
