"""How connections end: clients that are slow, deaf or gone, and a server that stops."""

import asyncio
import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from littoral_serve.http.connection import Connection
from littoral_serve.http.messages import Response
from littoral_serve.http.server import Limits, Server
from patience import patient
from simulators.served import Serve, serving, wait_until
from simulators.spoken import (
    ONE,
    PATH,
    TINY,
    connect,
    everything,
    narrow,
    replies,
    request,
    status,
)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with narrow(tmp_path_factory.mktemp("serve")) as running:
        yield running


def test_a_client_that_stays_is_told_that_its_answer_was_the_last() -> None:
    """What it sends while serve ends is answered: nobody closes under it."""

    async def end() -> tuple[bytes, bytes]:
        limits = Limits(max_body_bytes=1000, max_connections=9, receive_timeout_s=9, keep_alive_s=9)
        server = Server(lambda _: Response(200, b"{}"), limits)
        near, far = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(server.protocol, far)
        reader, writer = await asyncio.open_connection(sock=near)
        asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(asked)
        first = await reader.readuntil(b"{}")
        closed = asyncio.ensure_future(server.close(within_s=5))
        await asyncio.sleep(0.1)
        writer.write(asked)
        rest = await reader.read()
        await asyncio.wait_for(closed, 1)
        writer.close()
        return first, rest

    first, rest = asyncio.run(end())
    assert b"Connection: close" not in first
    assert rest.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in rest


def test_a_client_that_stops_in_the_middle_is_timed_out(serve: Serve) -> None:
    with connect(serve) as connection:
        connection.sendall(request()[:-1])
        start = time.monotonic()
        assert status(everything(connection)) == 408
    assert 0.9 < time.monotonic() - start < patient(6)


def test_who_left_before_being_refused_is_no_defect() -> None:
    """What is written to it resets the connection, so that nothing is left to be shut down."""
    told: list[object] = []

    async def main() -> None:
        limits = Limits(max_body_bytes=9, max_connections=0, receive_timeout_s=9, keep_alive_s=9)
        server = Server(lambda _: Response(200, b"{}"), limits)
        over = asyncio.Event()

        class Seen(Connection):
            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                over.set()

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        listener = await loop.create_server(lambda: Seen(server), "127.0.0.1", 0)
        # It has left before the loop looks.
        socket.create_connection(listener.sockets[0].getsockname()).close()
        async with asyncio.timeout(20):
            await over.wait()
        listener.close()

    asyncio.run(main())
    assert not told


def test_a_silent_connection_is_closed(serve: Serve) -> None:
    with connect(serve) as connection:
        connection.sendall(request())
        replies(connection, 1)
        start = time.monotonic()
        assert everything(connection) == b""
    assert 2 < time.monotonic() - start < patient(8)


def test_a_client_that_does_not_read_is_dropped_and_harms_nobody(serve: Serve) -> None:
    with connect(serve) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.2)
        wait_until(lambda: held(serve, deaf))
        data, at = request() * 50, 0
        end = time.monotonic() + patient(30)
        while held(serve, deaf):
            assert time.monotonic() < end, "nobody minds"
            with contextlib.suppress(OSError):
                at = (at + deaf.send(data[at:])) % len(data)
        assert requests.post(serve.url + PATH, data=ONE, timeout=20).status_code == 200


def held(serve: Serve, client: socket.socket) -> bool:
    """Tell whether the server has its end of this connection open, by the kernel's table."""
    ours, theirs = (f":{port:04X}" for port in (serve.address[1], client.getsockname()[1]))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(ours) and row[2].endswith(theirs) and row[9] != "0" for row in rows)


def test_a_stopped_server_finishes_what_it_began() -> None:
    with serving(TINY) as serve:
        many = json.dumps({"instances": [[[[0.5]] * 8] * 8] * 20_000}).encode()
        connection = http.client.HTTPConnection(*serve.address, timeout=60)
        connection.request("POST", PATH, many)
        time.sleep(0.3)
        serve.process.terminate()
        response = connection.getresponse()
        assert response.status == 200
        assert len(json.loads(response.read())["predictions"]) == 20_000
        connection.close()
        assert serve.process.wait(20) == 0
