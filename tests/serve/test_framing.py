"""A frame whose answer comes later: the connection meanwhile, and afterwards."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral.wire import frames
from littoral.wire.frames import Kind, Refused, Run, Spec
from littoral_serve.http.messages import Response
from littoral_serve.http.server import Limits, Server
from littoral_serve.protocols import framing
from littoral_serve.protocols.frames import Frames, Question
from littoral_serve.protocols.framing import Framed
from littoral_serve.running.lane import Bounds
from littoral_serve.running.runners import InThread
from simulators.loaded import loaded, models

TENSOR = Tensor(name="x", shape=(1, 1024), dtype="float32")
LIMITS = Limits(
    max_body_bytes=1 << 20, max_connections=8, receive_timeout_s=20.0, keep_alive_s=20.0
)


class Slow:
    """A model that ends when it is told to; it gives back what it is given."""

    inputs = outputs = (TENSOR,)

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.runs = 0

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        self.runs += 1
        self.begun.release()
        assert self.may_end.acquire(timeout=20)
        if inputs[0][0, 0] < 0:
            raise BackendError("it failed")
        return (inputs[0].copy(),)


class World:
    def __init__(self, path: Path, server: Server, slow: Slow) -> None:
        self.path, self.server, self.slow = path, server, slow

    async def call(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.path)

    async def begun(self) -> None:
        """Wait until the model runs."""
        assert await asyncio.to_thread(self.slow.begun.acquire, timeout=20)


@asynccontextmanager
async def world(path: Path, *, requests: int = 64) -> AsyncIterator[World]:
    slow = Slow()
    live = loaded(slow, InThread(slow), model="slow", bounds=Bounds(requests=requests))
    server = Server(lambda _: Response(404, b""), LIMITS)
    factory = partial(Framed, server, Frames(models(live), deadline_s=20))
    listener = await asyncio.get_running_loop().create_unix_server(factory, path)
    try:
        yield World(path, server, slow)
    finally:
        slow.may_end.release(1000)
        listener.close()
        for connection in tuple(server.connections):
            connection.close()
        await asyncio.sleep(0)


def ask(value: float, *, within_ms: int = 0) -> bytes:
    x = np.full((1, 1024), value, np.float32)
    head = frames.head(Run(model="slow", inputs=(Spec("x", "float32", (1, 1024)),)))
    begin = frames.begin(Kind.RUN, head, body_bytes=x.nbytes, within_ms=within_ms)
    return begin + x.tobytes()


async def hear(reader: asyncio.StreamReader) -> float | Refused:
    """Return what an answer's tensor is full of."""
    async with asyncio.timeout(20):
        kind, head, body, _ = frames.sizes(await reader.readexactly(16))
        said, data = await reader.readexactly(head), await reader.readexactly(body)
    if kind == Kind.REFUSED:
        return frames.read(Refused, said)
    (value,) = set(np.frombuffer(data, np.float32).tolist())
    return float(value)


Story = Callable[[World], Coroutine[Any, Any, None]]


def tell(story: Story, folder: Path, **words: int) -> None:
    async def whole() -> None:
        async with world(folder / "s.sock", **words) as here:
            await story(here)

    asyncio.run(whole())


def test_answers_that_come_later_keep_their_order_and_their_bytes(tmp_path: Path) -> None:
    async def story(here: World) -> None:
        reader, writer = await here.call()
        writer.write(b"".join(ask(value) for value in range(40)))  # 160 kB, all at once
        await here.begun()
        here.slow.may_end.release(40)
        assert [await hear(reader) for _ in range(40)] == list(range(40))
        writer.close()

    tell(story, tmp_path)


def test_what_arrives_while_a_request_runs_does_not_touch_it(tmp_path: Path) -> None:
    async def story(here: World) -> None:
        reader, writer = await here.call()
        writer.write(ask(1))
        await here.begun()
        writer.write(ask(2)[:3000])
        await writer.drain()
        here.slow.may_end.release(2)
        assert await hear(reader) == 1
        writer.write(ask(2)[3000:])
        assert await hear(reader) == 2
        writer.close()

    tell(story, tmp_path)


def test_who_left_is_not_computed_for(tmp_path: Path) -> None:
    async def story(here: World) -> None:
        first_in, first = await here.call()
        first.write(ask(1))
        await here.begun()
        _, second = await here.call()
        second.write(ask(2))
        await second.drain()
        await until(lambda: sum(one.busy for one in here.server.connections) == 2)
        second.close()
        await until(lambda: len(here.server.connections) == 1)
        third_in, third = await here.call()
        third.write(ask(3))
        here.slow.may_end.release(3)
        assert (await hear(first_in), await hear(third_in)) == (1, 3)
        assert here.slow.runs == 2
        first.close()
        third.close()

    tell(story, tmp_path)


def test_late_and_surplus_requests_are_refused_and_a_failure_is_told(tmp_path: Path) -> None:
    async def story(here: World) -> None:
        calls = [await here.call() for _ in range(4)]
        for (_, writer), value, within_ms in zip(calls, (-1, 2, 3, 4), (0, 1, 0, 0), strict=True):
            writer.write(ask(value, within_ms=within_ms))
            await writer.drain()
            if value < 0:
                await here.begun()
            await until(partial(busy, here, min(value, 3)))
        (first, _), (late, _), (third, _), (surplus, _) = calls
        refused = await hear(surplus)
        assert isinstance(refused, Refused)
        assert refused.code == "overloaded"
        await asyncio.sleep(0.002)  # until the second one's deadline is over
        here.slow.may_end.release(4)
        failed, missed = await hear(first), await hear(late)
        assert isinstance(failed, Refused)
        assert isinstance(missed, Refused)
        assert (failed.code, missed.code) == ("backend", "deadline")
        assert await hear(third) == 3
        for _, writer in calls:
            writer.close()

    tell(story, tmp_path, requests=2)


def test_a_client_that_does_not_read_is_not_read_from(tmp_path: Path) -> None:
    async def story(here: World) -> None:
        here.slow.may_end.release(10_000)
        reader, writer = await here.call()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ask(5) * 400)
        await until(lambda: any(one._stuffed for one in connections(here)))
        await until(lambda: not any(one._reading for one in connections(here)))
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert {await hear(reader) for _ in range(400)} == {5}
        writer.close()

    tell(story, tmp_path)


# What is said byte for byte, to a transport that the test holds.


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []
        self.reads = True

    def write(self, data: Any) -> None:
        self.said.append(bytes(data))

    def write_eof(self) -> None:
        self.said.append(b"")

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Echo:
    """Answers a frame with its first byte, at once."""

    def question(self, head: bytes, body: memoryview, *, within_ms: int) -> Question:
        return Question(head, body, within_ns=within_ms)

    def run(self, asked: Question, _: int, give: Callable[[bytes], None]) -> None:
        give(bytes(asked.body[:1]))

    def describe(self, head: bytes) -> bytes:
        return head


def wired() -> tuple[Framed, Wire]:
    framed, wire = Framed(Server(lambda _: Response(404, b""), LIMITS), Echo()), Wire()
    framed.connection_made(wire)
    return framed, wire


def say(framed: Framed, data: bytes) -> None:
    for at in range(0, len(data), 4096):
        piece = data[at : at + 4096]
        framed.get_buffer(-1)[: len(piece)] = piece
        framed.buffer_updated(len(piece))


def full_of(value: int, size: int) -> bytes:
    """Return a frame of ``size`` bytes."""
    body = bytes([value]) * (size - frames.HEADER.size)
    return frames.begin(Kind.RUN, b"", body_bytes=len(body)) + body


@pytest.mark.parametrize("size", [100, 4096])  # the second fills the buffer
def test_what_is_asked_again_waits_as_any_other_for_a_client_that_does_not_read(size: int) -> None:
    framed, wire = wired()
    for value in (1, 2):
        say(framed, full_of(value, size))
    framed.pause_writing()
    say(framed, full_of(3, size))
    assert wire.said == [b"\1", b"\2"]
    framed.resume_writing()
    assert wire.said[2:] == [b"\3"]
    assert wire.reads
    say(framed, full_of(4, size))
    assert wire.said[3:] == [b"\4"]


def test_what_came_along_with_another_is_not_what_is_asked_again() -> None:
    framed, wire = wired()
    say(framed, full_of(1, 100))
    say(framed, full_of(2, 200) + full_of(3, 200))
    say(framed, full_of(4, 100))
    assert wire.said == [b"\1", b"\2", b"\3", b"\4"]


def test_the_time_for_a_frame_begins_when_the_one_before_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now, perf_counter_ns=time.perf_counter_ns)
    monkeypatch.setattr(framing, "time", clock)
    framed, wire = wired()
    say(framed, full_of(1, 100)[:50])
    now = 15.0
    say(framed, full_of(1, 100)[50:] + full_of(2, 100)[:50])
    framed.check(34.0)
    assert wire.said == [b"\1"]
    framed.check(36.0)
    assert b"did not arrive in time" in wire.said[1]
    assert wire.said[2:] == [b""]


def test_who_is_refused_holds_nothing_and_can_still_be_read_from() -> None:
    framed, wire = wired()
    say(framed, full_of(1, 1 << 20)[: 4096 * 100])
    bodies = framed._server.bodies
    assert bodies.held > 0
    framed.check(time.monotonic() + 30)
    assert bodies.held == 0
    refused = wire.said[:]
    say(framed, bytes(50_000))
    assert wire.said == refused


def busy(here: World, least: int) -> bool:
    return sum(one.busy for one in here.server.connections) >= least


def connections(here: World) -> list[Framed]:
    return [one for one in here.server.connections if isinstance(one, Framed)]


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110 (nothing in there says when)
            await asyncio.sleep(0.001)
