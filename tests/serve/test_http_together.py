"""HTTP of requests that come together, in pieces, or begin alike: each is answered as itself."""

import asyncio
import hashlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest
import requests

from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.http.server import Limits, Server
from simulators.served import Serve
from simulators.spoken import (
    ONE,
    PATH,
    connect,
    narrow,
    replies,
    request,
    status,
)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with narrow(tmp_path_factory.mktemp("serve")) as running:
        yield running


def test_a_thousand_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    bodies = [
        json.dumps({"inputs": [[[[k / 1000]] * 8] * 8], "signature_name": "float"}).encode()
        for k in range(1000)
    ]
    single = [
        requests.post(serve.url + PATH, data=body, timeout=20).content for body in bodies[::100]
    ]
    with connect(serve) as connection:
        sender = threading.Thread(target=connection.sendall, args=(b"".join(map(request, bodies)),))
        sender.start()
        found = replies(connection, 1000)
        sender.join()
    assert found[::100] == single
    assert len(set(found)) > 1


def test_others_get_their_turn_while_one_pipelines() -> None:
    """Both have sent before the server looks: the second is not answered last."""
    order: list[bytes] = []

    async def race() -> None:
        done = asyncio.Event()

        def answer(asked: Request) -> Response:
            order.append(asked.target)
            if len(order) == 501:
                done.set()
            return Response(200, b"{}")

        limits = Limits(max_body_bytes=1000, max_connections=9, receive_timeout_s=9, keep_alive_s=9)
        pairs = [socket.socketpair(), socket.socketpair()]
        pairs[0][0].sendall(b"GET /greedy HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        pairs[1][0].sendall(b"GET /modest HTTP/1.1\r\nHost: x\r\n\r\n")
        loop = asyncio.get_running_loop()
        server = Server(answer, limits)
        for _, far in pairs:
            await loop.connect_accepted_socket(server.protocol, far)
        await done.wait()
        await server.close(within_s=1)
        for near, _ in pairs:
            near.close()
        await asyncio.sleep(0)

    asyncio.run(race())
    assert order.count(b"/greedy") == 500
    assert order.index(b"/modest") < 100


def test_large_bodies_are_left_with_their_client_while_an_answer_is_awaited() -> None:
    """Sixty-four of them, of each of so many connections, would be more than a device has."""
    limits = Limits(max_body_bytes=2**20, max_connections=9, receive_timeout_s=60, keep_alive_s=60)
    one, first = request(bytes(2**20)), Later()

    async def sent_before_and_answers() -> tuple[int, list[int]]:
        loop, asked, sent = asyncio.get_running_loop(), list[int](), 0

        def answer(request: Request) -> Response | Later:
            asked.append(len(request.body))
            return first if len(asked) == 1 else Response(200, b"{}")

        near, far = socket.socketpair()
        near.settimeout(0)
        transport, _ = await loop.connect_accepted_socket(Server(answer, limits).protocol, far)

        async def send() -> None:
            nonlocal sent
            for _ in range(32):
                await loop.sock_sendall(near, one)
                sent += 1

        sending = asyncio.create_task(send())
        async with asyncio.timeout(30):
            while transport.is_reading() and not sending.done():  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(0.001)
            before = sent
            first.give(Response(200, b"{}"))
            await sending
            while len(asked) < 32:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.001)
        transport.close()
        near.close()
        return before, asked

    sent, asked = asyncio.run(sent_before_and_answers())
    assert sent < 4
    assert asked == [2**20] * 32


def test_a_request_that_begins_as_the_last_one_is_read_as_if_it_were_the_first(
    serve: Serve,
) -> None:
    other = ONE.replace(b"0.5", b"0.1")
    with connect(serve) as connection:
        found = []
        for body in (ONE, ONE, other, ONE):  # of the same length, and another
            connection.sendall(request(body))
            found += replies(connection, 1)
        assert found[0] == found[1] == found[3] != found[2]
        for data in (request(ONE) + request(other), request(other)[:300]):
            connection.sendall(data)
        connection.sendall(request(other)[300:] + request(ONE))
        assert replies(connection, 4) == [found[0], found[2], found[2], found[0]]
        for data in (request(other)[:-70], request(other)[-70:-3], request(other)[-3:]):
            connection.sendall(data)
            time.sleep(0.02)  # or it may come in one piece
        assert replies(connection, 1) == [found[2]]
        connection.sendall(request(ONE)[:-5])
        time.sleep(0.02)
        connection.sendall(request(ONE)[-5:] + request(other))
        assert replies(connection, 2) == [found[0], found[2]]
        connection.sendall(request(ONE))
        assert replies(connection, 1) == [found[0]]
        # As long as the last one, and not the same.
        wrong = request(ONE).replace(b"POST", b"PUST")
        connection.sendall(wrong)
        assert status(connection.recv(1 << 16)) == 400


def test_the_end_of_a_request_is_no_beginning_of_one(serve: Serve) -> None:
    body = b"POST" + ONE  # what of it comes later looks like a beginning
    first = request(body)[: -len(body)]
    with connect(serve) as connection:
        connection.sendall(first)
        time.sleep(0.05)  # or it may come in one piece
        connection.sendall(body + request(ONE))
        answers = b""
        while answers.count(b"predictions") < 1:
            answers += connection.recv(1 << 16)
        assert status(answers) == 400
        connection.sendall(body + request(ONE))
        assert status(connection.recv(1 << 16)) == 400


def pieces(data: bytes, random: Random) -> Iterator[bytes]:
    match random.randrange(4):
        case 0:
            yield data
        case 1:  # as Python's own client sends them
            head, end, body = data.partition(b"\r\n\r\n")
            yield head + end
            yield body
        case _:
            ends = sorted(random.sample(range(len(data)), random.randrange(4)))
            for start, end_ in itertools.pairwise([0, *ends, len(data)]):
                yield data[start:end_]


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("seed", range(4))
def test_however_requests_arrive_each_is_answered_by_what_it_brought(
    seed: int, *, at_once: bool
) -> None:
    """In pieces and together, beginning alike or not: one that waits is not overwritten."""
    random = Random(seed)

    def digest(request: Request) -> Response:
        return Response(200, hashlib.sha256(request.data).hexdigest().encode())

    async def later(request: Request) -> Response:
        await asyncio.sleep(random.choice((0, 0, 0.002)))
        return digest(request)

    async def main() -> None:
        limits = Limits(
            max_body_bytes=2**20, max_connections=9, receive_timeout_s=30, keep_alive_s=30
        )
        server = Server(digest if at_once else later, limits)
        near, far = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(server.protocol, far)
        reader, writer = await asyncio.open_connection(sock=near)
        size = 5000
        for _ in range(120):
            if random.random() < 0.2:
                size = random.choice((0, 7, 490, 5000, 49_152, 300_000))
            bodies = [random.randbytes(size) for _ in range(random.choice((1, 1, 1, 2, 3)))]
            for piece in pieces(b"".join(map(request, bodies)), random):
                writer.write(piece)
                await asyncio.sleep(random.choice((0, 0, 0.001)))
            for body in bodies:
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(64) == hashlib.sha256(body).hexdigest().encode()
        writer.close()
        await server.close(within_s=1)
        assert server.bodies.held == 0

    asyncio.run(main())
