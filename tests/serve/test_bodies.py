"""The bytes that the bodies of all clients hold together: bounded, and all given back."""

import asyncio
import gzip
import random
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests

from littoral.wire import frames
from littoral.wire.frames import HEADER, Kind
from littoral_serve.http.bodies import OWN, Arriving, Bodies, Wrong
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.http.server import Answer, Limits, Server
from littoral_serve.protocols.framing import Framed
from simulators.served import FIXTURES, Serve, serving, wait_until

MiB = 1024 * 1024
LIMITS = Limits(max_body_bytes=2 * MiB, max_connections=99, receive_timeout_s=60, keep_alive_s=60)


def test_a_small_body_takes_nothing_and_always_comes_through() -> None:
    bodies = Bodies(0)
    body = Arriving(bodies, most=MiB)
    assert body.expect(OWN) is None
    assert body.add(bytes(OWN)) is None
    assert bodies.held == 0
    assert len(body.done()) == OWN


def test_a_large_body_takes_what_has_arrived_and_not_what_was_promised() -> None:
    bodies = Bodies(4 * MiB)
    slow = [Arriving(bodies, most=2 * MiB) for _ in range(8)]
    for one in slow:  # together they promise four times as much as there is
        assert one.expect(2 * MiB) is None
        assert one.add(bytes(OWN + 1)) is None
    assert slow[0].add(bytes(MiB)) is None
    assert slow[1].add(bytes(MiB)) is Wrong.FULL
    for one in slow[1:]:
        one.drop()
    assert slow[0].add(bytes(MiB - OWN - 1)) is None
    assert slow[0].done() == bytes(2 * MiB)
    assert bodies.held == 2 * MiB - OWN
    bodies.give(2 * MiB)
    assert bodies.held == 0


def test_what_cannot_fit_need_not_be_sent() -> None:
    bodies = Bodies(2 * MiB)
    assert bodies.resize(0, MiB)
    body = Arriving(bodies, most=2 * MiB)
    assert body.expect(2 * MiB) is Wrong.FULL
    assert body.expect(2 * MiB + 1) is Wrong.LARGE
    assert body.expect(MiB) is None


def test_each_body_that_there_is_no_room_for_is_counted_once() -> None:
    bodies = Bodies(MiB)
    announced, grown = (Arriving(bodies, most=4 * MiB) for _ in range(2))
    assert announced.expect(2 * MiB) is Wrong.FULL
    assert bodies.refused == 1
    assert grown.add(bytes(MiB)) is None
    assert grown.add(bytes(MiB)) is Wrong.FULL
    assert bodies.refused == 2
    assert announced.expect(4 * MiB + 1) is Wrong.LARGE
    grown.drop()
    assert announced.expect(MiB) is None
    assert bodies.refused == 2


# Random clients. Whatever they do, and whenever they leave, nothing stays taken.


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


@pytest.mark.parametrize(("lacks", "statuses"), [(0, [200] * 5), (1, [200, 200, 503])])
def test_who_pipelines_large_requests_needs_room_for_three(lacks: int, statuses: list[int]) -> None:
    """One runs, one waits, one is announced; what was taken in is answered in any case."""

    async def talk() -> list[int]:
        running: list[Later] = []

        def answer(_: Request) -> Later:
            running.append(Later())
            return running[-1]

        bodies = Bodies(3 * (MiB - OWN) - lacks)
        near, far = socket.socketpair()
        near.settimeout(0)
        loop = asyncio.get_running_loop()
        protocol = Server(answer, LIMITS, bodies=bodies).protocol
        await loop.connect_accepted_socket(protocol, far)
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {MiB}\r\n\r\n".encode()
        sending = asyncio.create_task(loop.sock_sendall(near, (head + bytes(MiB)) * 5))
        found = b""
        async with asyncio.timeout(20):
            while found.count(b"HTTP/1.1") < len(statuses):
                for _ in range(200):  # as much comes as is read
                    await asyncio.sleep(0)
                while running:
                    running.pop().give(Response(200, b"{}"))
                with suppress(BlockingIOError):
                    found += near.recv(10_000)
        sending.cancel()
        near.close()
        return [int(line[:3]) for line in found.split(b"HTTP/1.1 ")[1:]]

    assert asyncio.run(talk()) == statuses


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


# A real serve.


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Serve]:
    (tmp_path / "serve.toml").write_text(f"bodies_bytes = {16 * MiB}\n")
    model = f"--model=tiny={FIXTURES}/tiny_int8.tflite"
    with serving(f"--data={tmp_path}", model) as running:
        yield running


def promising(way: str, serve: Serve, folder: Path) -> socket.socket:
    """Return a client that has announced 16 MB."""
    size = 16_000_000
    if way == "frames":
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(folder / "run/serve.sock"))
        client.sendall(frames.begin(Kind.RUN, b"{}", body_bytes=size))
    else:
        client = socket.create_connection(serve.address)
        head = f"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}"
        client.sendall(head.encode() + b"\r\n\r\n")
    client.settimeout(0)
    return client


@pytest.mark.parametrize("way", ["http", "frames"])
def test_a_hundred_slow_uploads_take_no_more_than_they_may(
    device: Serve, tmp_path: Path, way: str
) -> None:
    """They bring 100 MiB together; small requests are answered meanwhile, and large ones after."""
    small = {"instances": [[[[0.5]] * 8] * 8]}
    url = f"{device.url}/v1/models/tiny:predict"
    assert requests.post(url, json=small, timeout=20).ok
    before, piece = device.kib(), bytes(128 * 1024)
    with ExitStack() as stack:
        clients = [stack.enter_context(promising(way, device, tmp_path)) for _ in range(100)]
        sent = 0
        for _ in range(8):
            for client in clients:
                with suppress(OSError):  # it was refused, or is not read from for now
                    sent += client.send(piece)
            assert requests.post(url, json=small, timeout=20).ok
            assert device.kib() - before < 55 * 1024
        assert sent > 50 * MiB

    def comes_through() -> bool:
        large = requests.post(url, data=bytes(15_000_000), timeout=20)
        assert large.status_code in (400, 429)  # that is no JSON; or there is no room yet
        return large.status_code == 400

    wait_until(comes_through)


@contextmanager
def crowded(serve: Serve) -> Iterator[None]:
    """Have a client hold most of what there is."""
    before = serve.kib()
    with promising("http", serve, Path()) as client:
        client.settimeout(20)
        client.sendall(bytes(14_000_000))
        wait_until(lambda: serve.kib() - before > 13_000)  # all of it was read
        yield


@pytest.mark.parametrize(
    ("path", "status", "laid_out"),
    [
        ("/v1/models/tiny:predict", 429, '{\n    "error": "'),
        ("http://localhost/v1/models/tiny:predict", 429, '{\n    "error": "'),
        ("/v2/models/tiny/infer", 503, '{"error":"'),
    ],
)
def test_who_finds_no_room_is_told_in_the_protocols_words(
    device: Serve, path: str, status: int, laid_out: str
) -> None:
    with crowded(device), closing(HTTPConnection(*device.address, timeout=20)) as client:
        client.request("POST", path, bytes(4 * MiB))
        reply = client.getresponse()
        told = reply.read().decode()
    assert reply.status == status
    assert told.startswith(laid_out)
    assert "try again later" in told
    assert (reply.getheader("Retry-After") == "1") == (status == 503)


def test_who_finds_no_room_is_counted_whichever_way_they_came(
    device: Serve, tmp_path: Path
) -> None:
    def told() -> str:
        return requests.get(f"{device.url}/metrics", timeout=20).text

    assert "littoral_bodies_refused_total 0\n" in told()
    with crowded(device):
        for way in ("http", "frames"):
            with promising(way, device, tmp_path) as client:
                client.settimeout(20)
                assert client.recv(1)
    assert "littoral_bodies_refused_total 2\n" in told()
