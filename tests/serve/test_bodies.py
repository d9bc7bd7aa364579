"""The bytes that the bodies of all clients hold together: bounded, and asked for in time."""

import asyncio
import socket
from contextlib import suppress

import pytest

from littoral_serve.http.bodies import OWN, Arriving, Bodies, Wrong
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.http.server import Limits, Server

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
