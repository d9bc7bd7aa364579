"""Random clients. Whatever they do, and whenever they leave, nothing stays taken."""

import asyncio
import gzip
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from littoral.wire import frames
from littoral.wire.frames import HEADER, Kind
from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.http.server import Answer, Limits, Server
from littoral_serve.protocols.framing import Framed

MiB = 1024 * 1024


LIMITS = Limits(max_body_bytes=2 * MiB, max_connections=99, receive_timeout_s=60, keep_alive_s=60)


class Scene:
    """A server, what it has not answered yet, and what its clients may hold."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.bodies = Bodies(3 * MiB)
        self.server = Server(self.answer, LIMITS, bodies=self.bodies)
        self.owed: list[Callable[[], None]] = []
        self.most = 0

    def answer(self, request: Request) -> Answer:
        self.look()
        match self.rng.randrange(5):
            case 0:
                return Response(200, b"%d" % len(request.body))
            case 1:
                raise RuntimeError("a defect")
            case 2:
                return self._awaited()
            case _:
                later = Later()
                self.owed.append(lambda: later.give(Response(200, b"{}")))
                return later

    async def _awaited(self) -> Response:
        done = asyncio.get_running_loop().create_future()
        self.owed.append(lambda: None if done.done() else done.set_result(None))
        await done
        return Response(200, b"{}")

    def look(self) -> None:
        self.most = max(self.most, self.bodies.held)
        assert 0 <= self.bodies.held <= 3 * MiB

    def pay(self, count: int) -> None:
        """Answer some of what is owed."""
        for _ in range(min(count, len(self.owed))):
            self.owed.pop(self.rng.randrange(len(self.owed)))()
            self.look()

    # As what answers frames

    def question(self, _: bytes, body: memoryview, *, within_ms: int) -> Any:  # noqa: ARG002
        return memoryview(body)

    def run(self, asked: Any, _: int, give: Callable[[bytes], None]) -> Any:
        self.look()
        done = frames.begin(Kind.DONE, b"%d" % len(asked))
        if self.rng.random() < 0.4:
            give(done)
            return None
        self.owed.append(lambda: give(done))
        return self

    def describe(self, head: bytes) -> bytes:
        return head

    def leave(self) -> None:
        pass


def http(rng: random.Random) -> bytes:
    """Return some requests, one after the other."""
    said, head, body = b"", b"", b""
    for _ in range(rng.randint(1, 4)):
        if not head or rng.random() < 0.5:  # else it begins as the one before
            size = rng.choice((10, 1000, OWN - 1, OWN, OWN + 1, MiB, MiB, 2 * MiB, 2 * MiB + 1))
            body, more = bytes(size), f"Content-Length: {size}"
            if rng.random() < 0.2:
                body = gzip.compress(body, 1)
                more = f"Content-Encoding: gzip\r\nContent-Length: {len(body)}"
            elif rng.random() < 0.2:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
                more = "Transfer-Encoding: chunked"
            elif rng.random() < 0.1:
                more += "\r\nConnection: close"
            head = f"POST /v1/x HTTP/1.1\r\nHost: x\r\n{more}\r\n\r\n".encode()
        said += head + body
    return said


def framed(rng: random.Random) -> bytes:
    said = b""
    for _ in range(rng.randint(1, 4)):
        size = rng.choice((10, 1000, OWN - 18, OWN - 17, OWN, MiB, 2 * MiB - 1, 2 * MiB + 1))
        said += frames.begin(Kind.RUN, b"{}", body_bytes=size) + bytes(size)
    return said


async def live(here: Scene, way: str) -> None:
    """Be one client: say some or all of it, in pieces, and leave in one way or another."""
    rng, loop = here.rng, asyncio.get_running_loop()
    near, far = socket.socketpair()
    near.settimeout(0)
    protocol = here.server.protocol() if way == "http" else Framed(here.server, here)
    await loop.connect_accepted_socket(lambda: protocol, far)
    said = (http if way == "http" else framed)(rng)
    end = len(said) if rng.random() < 0.5 else rng.randrange(len(said))
    at = 0
    try:
        while at < end:
            piece = said[at : min(end, at + rng.choice((1000, 70_000, OWN, MiB)))]
            async with asyncio.timeout(0.05):  # it may not be read from: then it does other things
                await loop.sock_sendall(near, piece)
            at += len(piece)
            here.look()
            if rng.random() < 0.3:
                here.pay(1)
    except (TimeoutError, OSError):
        pass
    match rng.randrange(4):
        case 0:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case 1:
            near.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0)
        case 2:
            protocol.check(loop.time() + 1000)  # it was too slow
            await asyncio.sleep(0)
        case _:
            pass
    here.look()
    near.close()


@pytest.mark.parametrize("way", ["http", "frames"])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_clients_do_all_is_given_back(way: str, seed: int) -> None:
    async def lives() -> None:
        here = Scene(seed)
        for _ in range(6):
            await asyncio.gather(*(live(here, way) for _ in range(4)))
        async with asyncio.timeout(20):
            while here.server.connections or here.owed:
                here.pay(9)
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert here.bodies.held == 0
        assert here.most > OWN  # or nothing was tried

    asyncio.run(lives())


@pytest.mark.parametrize("way", ["http", "frames"])
def test_what_was_answered_is_given_back_while_its_client_stays(way: str) -> None:
    """Also where a request begins as the one before it, and the next one comes with its end."""
    if way == "http":
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {MiB}\r\n\r\n".encode()
        one, answer = head + bytes(MiB), b"\r\n\r\n{}"
    else:
        one, answer = frames.begin(Kind.RUN, b"{}", body_bytes=MiB) + bytes(MiB), b"\x8fL\x01\x81"

    async def talk() -> None:
        here = Scene(0)
        near, far = socket.socketpair()
        near.settimeout(0)
        loop = asyncio.get_running_loop()
        asked = Server(lambda _: Response(200, b"{}"), LIMITS, bodies=here.bodies)
        await loop.connect_accepted_socket(
            asked.protocol if way == "http" else lambda: Framed(here.server, here), far
        )
        for count in (1, 2, 3):
            sending = asyncio.create_task(loop.sock_sendall(near, one * count))
            found = b""
            async with asyncio.timeout(20):
                while found.count(answer) < count:
                    here.pay(1)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.01):
                            found += await loop.sock_recv(near, 1000)
            await sending
            assert here.bodies.held == 0
        near.close()

    asyncio.run(talk())


def test_a_refused_frame_says_overloaded() -> None:
    async def told() -> bytes:
        here = Scene(0)
        assert here.bodies.resize(0, 3 * MiB)
        near, far = socket.socketpair()
        near.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: Framed(here.server, here), far)
        await loop.sock_sendall(near, frames.begin(Kind.RUN, b"{}", body_bytes=MiB))
        found = b""
        async with asyncio.timeout(20):
            while piece := await loop.sock_recv(near, 1000):
                found += piece
        near.close()
        return found

    found = asyncio.run(told())
    kind, size, _, _ = frames.sizes(found)
    assert kind == Kind.REFUSED
    assert frames.read(frames.Refused, found[HEADER.size : HEADER.size + size]).code == "overloaded"
