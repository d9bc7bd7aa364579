"""HTTP as clients speak it, over real sockets: one request after the other."""

import asyncio
import gc
import gzip
import socket
import tracemalloc
from collections.abc import Iterator

import pytest
import requests

from littoral_serve.http.messages import Request, Response
from littoral_serve.http.server import Limits, Server
from simulators.served import Serve
from simulators.spoken import (
    ONE,
    PATH,
    connect,
    everything,
    narrow,
    replies,
    request,
    said,
    status,
)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with narrow(tmp_path_factory.mktemp("serve")) as running:
        yield running


def test_one_connection_serves_many_requests(serve: Serve) -> None:
    with requests.Session() as session:
        for _ in range(50):
            assert session.post(serve.url + PATH, data=ONE, timeout=20).status_code == 200


def test_bodies_that_come_compressed_may_follow_each_other(serve: Serve) -> None:
    """They begin alike, so but the first is not parsed: each is unpacked all the same."""
    packed = gzip.compress(ONE, mtime=0)
    one = request(packed, head="Content-Encoding: gzip\r\n")
    with connect(serve) as connection:
        for _ in range(3):
            connection.sendall(one)
            (body,) = replies(connection, 1)
            assert b"predictions" in body


def test_a_body_may_come_in_chunks(serve: Serve) -> None:
    def parts() -> Iterator[bytes]:
        for at in range(0, len(ONE), 7):
            yield ONE[at : at + 7]

    assert requests.post(serve.url + PATH, data=parts(), timeout=20).status_code == 200


def test_a_request_may_arrive_byte_by_byte(serve: Serve) -> None:
    with connect(serve) as connection:
        for byte in request():
            connection.send(bytes([byte]))
        assert b"predictions" in replies(connection, 1)[0]


def test_continue_is_said_when_it_is_expected(serve: Serve) -> None:
    whole = request(head="Expect: 100-continue\r\n")
    head, body = whole[: -len(ONE)], whole[-len(ONE) :]
    with connect(serve) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b"predictions" in replies(connection, 1)[0]


def test_blanks_around_a_value_are_no_part_of_it(serve: Serve) -> None:
    """HTTP allows them: a length with one behind it was a body too large, such a host foreign."""
    for name in (b"Content-Length", b"Host"):
        head, end, body = request().partition(b"\r\n\r\n")
        lines = [b"%s \t" % one if one.startswith(name) else one for one in head.split(b"\r\n")]
        assert status(said(serve, b"\r\n".join(lines) + end + body)) == 200, name


def test_the_connection_is_closed_when_that_is_asked(serve: Serve) -> None:
    with connect(serve) as connection:
        connection.sendall(request(head="Connection: close\r\n") + request())
        data = everything(connection)
    assert data.count(b"HTTP/1.1 200") == 1
    assert b"\r\nConnection: close\r\n" in data


def test_http_1_0_gets_one_answer(serve: Serve) -> None:
    with connect(serve) as connection:
        connection.sendall(request(version="1.0"))
        assert everything(connection).count(b"HTTP/1.1 200") == 1


def test_head_has_no_body(serve: Serve) -> None:
    data = said(serve, b"HEAD /v1/models/tiny HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8501", "127.0.0.1:1", "127.1.2.3", "[::1]:8501", "board.example"],
)
def test_its_own_names_are_known(serve: Serve, host: str) -> None:
    headers = {"Host": host}
    response = requests.get(f"{serve.url}/v1/models/tiny", headers=headers, timeout=20)
    assert response.status_code == 200


@pytest.mark.parametrize("named", ["http://localhost", "HTTPS://Board.example:8501"])
@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_a_target_may_name_the_server_as_a_proxy_is_told_it(
    serve: Serve, named: str, host: str
) -> None:
    """Whom it names counts, and not the Host; each time, on a connection that goes on."""
    ours = request(path=named + PATH).replace(b"localhost\r\n", b"%s\r\n" % host.encode())
    with connect(serve) as connection:
        for _ in range(3):
            connection.sendall(ours)
            assert b"predictions" in replies(connection, 1)[0]
        connection.sendall(request(path=f"http://evil.example{PATH}"))
        connection.shutdown(socket.SHUT_WR)
        foreign = everything(connection)
    assert status(foreign) == 403
    assert b"Host 'evil.example' is not a name of this server" in foreign


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "leaves"])
def test_what_a_client_sent_is_forgotten_with_the_answer(*, stays: bool) -> None:
    """Not when the collector comes by, and not only when a connection ends that stays open."""
    body = bytes(1_000_000)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    limits = Limits(
        max_body_bytes=len(body), max_connections=99, receive_timeout_s=9, keep_alive_s=99
    )

    async def kept_bytes() -> int:
        server = Server(lambda request: Response(200, b"%d" % len(request.body)), limits)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server.protocol, "127.0.0.1", 0)
        before, _ = tracemalloc.get_traced_memory()
        clients = []
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
            writer.write(head + body)
            assert await reader.readuntil(b"1000000") != b""
            clients.append(writer)
            if not stays:
                writer.close()
                await writer.wait_closed()
        await asyncio.sleep(0.1)  # the server hears of who left
        after, _ = tracemalloc.get_traced_memory()
        for writer in clients:
            writer.close()
        listener.close()
        await server.close(within_s=1)
        return after - before

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        assert asyncio.run(kept_bytes()) < 2 * len(body)
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_client_that_sends_its_head_first_is_remembered_too() -> None:
    """Python's own client does, and so do most that are made of it."""
    seen: list[tuple[bool, int]] = []

    def answer(request: Request) -> Response:
        seen.append((request.again is not None, request.data[0]))
        return Response(200, b"{}")

    async def main() -> None:
        limits = Limits(
            max_body_bytes=2**20, max_connections=9, receive_timeout_s=9, keep_alive_s=9
        )
        server = Server(answer, limits)
        listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
        address = "http://{}:{}/".format(*listener.sockets[0].getsockname())

        def ask() -> None:
            with requests.Session() as session:
                for k in range(4):
                    assert session.post(address, data=bytes([k]) * 20_000, timeout=9).ok

        await asyncio.to_thread(ask)
        listener.close()
        await server.close(within_s=1)

    asyncio.run(main())
    assert seen == [(False, 0), (True, 1), (True, 2), (True, 3)]
