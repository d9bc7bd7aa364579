"""Streams over gRPC: few are open at a time, and none keeps its place when it ends or hangs."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.protocols.rpc.answering import Call, Service
from littoral_serve.protocols.rpc.intake import CROWDED
from littoral_serve.protocols.rpc.listener import Limits, Listener
from littoral_serve.protocols.rpc.streams import MANY, SILENT, Streams
from littoral_serve.running.refusals import InvalidArgumentError
from simulators.calls import Client, run, until
from simulators.clock import Clock
from simulators.served import FIXTURES, serving

MiB = 1024 * 1024
FLOW = "/s/Flow"
MUCH = 8 * MiB  # more than is sent to who does not read: the library's clients let 4 MiB come
ALONE = [  # a channel's connection is its own, and any answer may come there
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
]


def streams(clock: Clock | None = None) -> tuple[Streams, Bodies]:
    bodies = Bodies(MiB)
    return Streams(bodies, places=2, within_s=30, clock=clock or Clock()), bodies


def test_as_many_are_open_as_there_are_places_and_one_more_is_refused() -> None:
    async def main() -> None:
        here, bodies = streams()
        first, second, third = Client(), Client(), Client()
        assert [here.enter(one) for one in (first, second, third)] == [None, None, MANY]
        assert bodies.refused == 1
        here.leave(third)  # as all do, and takes nobody's place with it
        assert here.enter(third) is MANY
        here.leave(first)
        assert here.enter(third) is None

    run(main)


def test_who_says_nothing_makes_room_where_another_comes_and_who_waits_for_us_does_not() -> None:
    async def main() -> None:
        clock = Clock()
        here, _ = streams(clock)
        quiet, busy, third = Client(), Client(), Client()
        assert [here.enter(one) for one in (quiet, busy)] == [None, None]
        reading = asyncio.create_task(here.read(quiet))
        await asyncio.sleep(0)
        busy.message.set_result(b"asks")
        assert await here.read(busy) == b"asks"
        clock.now = Clock.now + 30
        assert here.enter(third) is MANY
        assert quiet.ended is None
        clock.now = Clock.now + 31
        assert here.enter(third) is None
        await asyncio.sleep(0)
        assert quiet.ended is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(aio.AbortError):
            await reading
        here.leave(quiet)
        clock.now = Clock.now + 1000
        assert here.enter(Client()) is MANY
        assert busy.ended is None

    run(main)


def test_who_does_not_read_its_answer_loses_its_place_and_is_not_waited_for() -> None:
    async def main() -> None:
        clock = Clock()
        here, bodies = streams(clock)
        hangs, third = Client(), Client()
        assert [here.enter(one) for one in (hangs, Client())] == [None, None]
        hangs.message.set_result(b"asks")
        assert await here.read(hangs) == b"asks"
        here.answered(hangs)
        clock.now = Clock.now + 31
        assert here.enter(third) is None
        assert await here.read(hangs) is SILENT
        assert bodies.refused == 1

    run(main)


def test_a_message_is_held_until_it_is_answered_and_refused_where_there_is_no_room() -> None:
    async def main() -> None:
        here, bodies = streams()
        first, second, third = Client(), Client(), Client()
        first.message.set_result(bytes(MiB))
        second.message.set_result(bytes(MiB))
        third.message.set_result(aio.EOF)
        assert [here.enter(one) for one in (first, second)] == [None, None]
        assert await here.read(first) == bytes(MiB)
        assert bodies.held == MiB - OWN
        assert await here.read(second) is CROWDED
        assert bodies.held == MiB - OWN
        here.leave(second)
        assert here.enter(third) is None
        assert await here.read(third) is None

    run(main)


@asynccontextmanager
async def listening(
    service: Service, *, within_s: float = 60
) -> AsyncIterator[tuple[Listener, Bodies, str]]:
    limits = Limits(
        max_message_bytes=MiB,
        max_calls=64,
        receive_timeout_s=within_s,
        keep_alive_s=60,
        deadline_s=60,
    )
    bodies = Bodies(2 * MiB)
    listener = Listener([service], limits, bodies)
    try:
        yield listener, bodies, await listener.start("127.0.0.1:0")
    finally:
        await listener.stop(within_s=0)


async def over(way: str, flow: Any, channel: aio.Channel) -> None:
    if way == "cancelled":
        flow.cancel()
    elif way == "the connection ends":
        await channel.close()
    else:
        await flow.done_writing()
        while await flow.read() is not aio.EOF:
            pass


@pytest.mark.parametrize("way", ["it ends", "cancelled", "the connection ends"])
@pytest.mark.parametrize(
    "moment", ["before a message", "in its answer", "before the answer is read"]
)
def test_whatever_ends_a_stream_gives_back_what_it_took(way: str, moment: str) -> None:
    async def main() -> None:
        go, begun = asyncio.Event(), asyncio.Event()

        async def answer(_: Call) -> bytes:
            begun.set()
            await go.wait()
            return bytes(MUCH)

        async with listening(Service("s", {}, {"Flow": answer})) as (listener, bodies, where):
            found = listener._streams
            async with aio.insecure_channel(where, options=ALONE) as channel:
                flow = channel.stream_stream(FLOW)()
                await until(found._reading.waited)
                if moment != "before a message":
                    await flow.write(bytes(MiB - 10))
                    await begun.wait()
                    assert bodies.held == MiB - 10 - OWN
                if moment != "in its answer" or way == "it ends":
                    go.set()
                    unread = 0 if moment == "before a message" else MUCH - OWN
                    await until(lambda: bodies.held == unread)
                assert len(found._open) == 1
                assert bool(found._reading.waited()) == (moment == "before a message")
                await over(way, flow, channel)
                await until(lambda: not found._open)
                assert found._reading.waited() == []
                await until(lambda: not bodies.held)

    run(main)


def test_a_stream_whose_message_is_refused_gives_back_what_it_took() -> None:
    async def refuse(_: Call) -> bytes:
        raise InvalidArgumentError("no")

    async def main() -> None:
        async with (
            listening(Service("s", {}, {"Flow": refuse})) as (listener, bodies, where),
            aio.insecure_channel(where) as channel,
        ):
            with pytest.raises(aio.AioRpcError):
                await channel.stream_stream(FLOW)(iter([bytes(MiB - 10)])).read()
            await until(lambda: not listener._streams._open)
            assert bodies.held == 0

    run(main)


def test_one_stream_more_is_told_at_once_what_admits_more() -> None:
    async def size(call: Call) -> bytes:
        return b"%d" % len(call.data)

    async def main() -> None:
        service = Service("s", {"Size": size}, {"Flow": size})
        async with (
            listening(service) as (listener, _, where),
            aio.insecure_channel(where) as channel,
        ):
            flows = [channel.stream_stream(FLOW)() for _ in range(2)]
            await until(lambda: len(listener._streams._reading.waited()) == 2)
            late = channel.stream_stream(FLOW)()
            with pytest.raises(aio.AioRpcError) as told:
                await late.read()
            assert told.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert told.value.details() == MANY[1]
            for flow in flows:  # of all this, those that are open hear nothing, nor do calls
                for count in (0, 10, MiB - 10):
                    await flow.write(bytes(count))
                    assert await flow.read() == b"%d" % count
            assert await channel.unary_unary("/s/Size")(bytes(MiB - 10)) == b"1048566"

    run(main)


def test_a_stream_that_says_nothing_makes_room_for_another() -> None:
    async def same(call: Call) -> bytes:
        return call.data

    async def main() -> None:
        service = Service("s", {}, {"Flow": same})
        async with (
            listening(service, within_s=0.2) as (listener, bodies, where),
            aio.insecure_channel(where, options=ALONE) as first,
            aio.insecure_channel(where, options=ALONE) as second,
        ):
            hang = [first.stream_stream(FLOW)() for _ in range(2)]
            await until(lambda: len(listener._streams._reading.waited()) == 2)
            await asyncio.sleep(0.3)
            others = []
            for _ in hang:
                flow = second.stream_stream(FLOW)()
                await flow.write(b"x")
                assert await flow.read() == b"x"
                others.append(flow)  # and stays
            for flow in hang:
                assert await flow.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert await flow.details() == SILENT[1]
            assert bodies.held == 0

    run(main)


def test_places_are_there_again_where_the_librarys_server_ended_and_another_began() -> None:
    async def size(call: Call) -> bytes:
        return b"%d" % len(call.data)

    async def main() -> None:
        async with listening(Service("s", {}, {"Flow": size})) as (listener, _, where):
            async with aio.insecure_channel(where) as channel:
                flows = [channel.stream_stream(FLOW)() for _ in range(2)]
                await until(lambda: len(listener._streams._reading.waited()) == 2)
                await listener._server.stop(0)
                assert {await flow.code() for flow in flows} != {grpc.StatusCode.OK}
            await until(lambda: not listener._streams._open)

    run(main)


def test_many_streams_with_large_messages_are_not_all_here_at_once(tmp_path: Path) -> None:
    """They have 96 MiB together, and each says three times as much."""
    chosen = tmp_path / "serve.toml"
    chosen.write_text(f"bodies_bytes = {8 * MiB}\nmax_body_bytes = {4 * MiB}\n")
    words = ("--grpc=127.0.0.1:0", f"--settings={chosen}")
    with serving(f"--model=tiny={FIXTURES}/tiny_int8.tflite", *words) as serve:
        address = serve.ready["grpc"]

        def ask(message: bytes) -> str:
            with grpc.insecure_channel(address, options=ALONE) as channel:
                flow = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
                try:
                    return f"{len(list(flow(iter([message] * 3))))} answers"
                except grpc.RpcError as e:
                    return f"{e.code().name}: {e.details()}"

        assert ask(b"x") == "3 answers"
        before = serve.kib("VmHWM")
        with ThreadPoolExecutor(24) as clients:
            found = set(clients.map(ask, [bytes(4 * MiB - 100)] * 24))
        assert found == {"3 answers", f"RESOURCE_EXHAUSTED: {MANY[1]}"}
        assert serve.kib("VmHWM") - before < 45 * 1024
