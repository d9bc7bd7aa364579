"""HTTP as clients speak it, well and badly, over real sockets."""

import asyncio
import contextlib
import gc
import gzip
import hashlib
import http.client
import itertools
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import requests

from littoral_serve.http.connection import Connection
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.http.server import Limits, Server
from patience import patient
from simulators.served import FIXTURES, Serve, serving, wait_until

ONE = json.dumps({"instances": [[[[0.5]] * 8] * 8]}).encode()
PATH = "/v1/models/tiny:predict"
CHUNKED = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    settings = tmp_path_factory.mktemp("serve") / "serve.toml"
    settings.write_text(
        "max_body_bytes = 100_000\nreceive_timeout_s = 1.0\nkeep_alive_s = 2.5\n"
        'max_connections = 40\nhosts = ["board.example"]\n'
    )
    with serving(f"--model=tiny={FIXTURES}/tiny_int8.tflite", f"--settings={settings}") as running:
        yield running


def request(body: bytes = ONE, *, head: str = "", path: str = PATH, version: str = "1.1") -> bytes:
    return (
        f"POST {path} HTTP/{version}\r\nHost: localhost\r\n{head}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def connect(serve: Serve) -> socket.socket:
    return socket.create_connection(serve.address, timeout=20)


def everything(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    return data


def said(serve: Serve, data: bytes) -> bytes:
    """Send ``data``, then nothing more; return all that comes back."""
    with connect(serve) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def status(data: bytes) -> int:
    return int(data.split(b" ", 2)[1])


def replies(stream: socket.socket, count: int) -> list[bytes]:
    """Read ``count`` responses, one after the other."""
    file = stream.makefile("rb")
    found = []
    for _ in range(count):
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 200"), line
        size = 0
        while (head := file.readline()) != b"\r\n":
            if head.lower().startswith(b"content-length:"):
                size = int(head.split(b":")[1])
        found.append(file.read(size))
    return found


def test_one_connection_serves_many_requests(serve: Serve) -> None:
    with requests.Session() as session:
        for _ in range(50):
            assert session.post(serve.url + PATH, data=ONE, timeout=20).status_code == 200


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


def test_a_body_that_is_announced_too_large_is_not_waited_for(serve: Serve) -> None:
    with connect(serve) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        data = everything(connection)
    assert status(data) == 413
    assert b"at most 100000 bytes" in data
    assert b"100 Continue" not in data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (request(bytes(10), path="/v3/x"), "Not Found"),
        (request(bytes(200_000)), "a body may have at most 100000 bytes"),
        (request(head="Content-Encoding: br\r\n"), "bodies come as gzip or deflate"),
        (b"POST / HTTP/1.1\r\nHost localhost\r\n\r\n", "Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "is not a name of this server"),
    ],
    ids=["path", "size", "coding", "head", "host"],
)
def test_whatever_is_wrong_is_told_as_json(serve: Serve, data: bytes, words: str) -> None:
    """As clients of TensorFlow Serving and of Triton read it."""
    head, _, body = said(serve, data).partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    assert words in json.loads(body)["error"]


def test_a_client_that_sends_too_much_still_hears_why(serve: Serve) -> None:
    response = requests.post(serve.url + PATH, data=b"x" * 5_000_000, timeout=20)
    assert response.status_code == 413


def test_a_body_that_grows_too_large_in_chunks_is_refused(serve: Serve) -> None:
    response = requests.post(serve.url + PATH, data=(b"x" * 1000 for _ in range(200)), timeout=20)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (request(head="Transfer-Encoding: chunked\r\n"), 400),
        (request(head="Content-Length: 3\r\n"), 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * 300_000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 404),
        (b"GET /v1/models/tiny HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/models/tiny HTTP/1.1\r\nOrigin: http://localhost\r\n\r\n", 400),
        (b"GET /v1/models/tiny HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n", 400),
        (request(head="Origin: http://evil.example\r\nOrigin: http://localhost\r\n"), 400),
        (CHUNKED + b"2\r\n{}\r\n0\r\nA: " + b"b" * 300_000, 431),
        (CHUNKED + b"2;" + b"b" * 300_000, 431),
    ],
)
def test_what_is_no_request_is_refused(serve: Serve, data: bytes, expected: int) -> None:
    assert status(said(serve, data)) == expected


def test_blanks_around_a_value_are_no_part_of_it(serve: Serve) -> None:
    """HTTP allows them: a length with one behind it was a body too large, such a host foreign."""
    for name in (b"Content-Length", b"Host"):
        head, end, body = request().partition(b"\r\n\r\n")
        lines = [b"%s \t" % one if one.startswith(name) else one for one in head.split(b"\r\n")]
        assert status(said(serve, b"\r\n".join(lines) + end + body)) == 200, name


def test_what_comes_behind_a_body_says_nothing_of_its_request(serve: Serve) -> None:
    """Nobody between would look there: neither who may call, nor how the body is packed."""
    data = b"%x\r\n%s\r\n0\r\n" % (len(ONE), ONE)
    packed = said(serve, CHUNKED + data + b"Content-Encoding: br\r\nHost: x\r\n\r\n")
    assert status(packed) == 200
    nameless = CHUNKED.replace(b"Host: localhost\r\n", b"")
    assert status(said(serve, nameless + data + b"Host: localhost\r\n\r\n")) == 400


def test_what_was_asked_before_a_mistake_is_answered(serve: Serve) -> None:
    data = said(serve, request() + request() + b"nonsense\r\n\r\n")
    assert data.count(b"HTTP/1.1 200") == 2
    assert data.count(b"HTTP/1.1 400") == 1


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


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8501", "10.0.0.1"]
)
def test_a_foreign_host_is_refused(serve: Serve, host: str) -> None:
    headers = {"Host": host}
    response = requests.get(f"{serve.url}/v1/models/tiny", headers=headers, timeout=20)
    assert response.status_code == 403
    assert "is not a name of this server" in response.json()["error"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8501", "127.0.0.1:1", "127.1.2.3", "[::1]:8501", "board.example"],
)
def test_its_own_names_are_known(serve: Serve, host: str) -> None:
    headers = {"Host": host}
    response = requests.get(f"{serve.url}/v1/models/tiny", headers=headers, timeout=20)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://evil.example", 403),
        ("null", 403),
        ("https://127.0.0.1.evil.example", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8501", 200),
    ],
)
def test_a_foreign_page_is_refused(serve: Serve, origin: str, expected: int) -> None:
    headers = {"Origin": origin}
    response = requests.post(serve.url + PATH, data=ONE, headers=headers, timeout=20)
    assert response.status_code == expected


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


def test_a_target_that_names_nobody_or_two_is_not_found(serve: Serve) -> None:
    for target in ("http:///v2", "http://localhost:80@evil.example/v2", "ftp://localhost/v2"):
        assert status(said(serve, request(path=target))) == 404
    nameless = f"GET http://localhost{PATH} HTTP/1.1\r\n\r\n".encode()
    assert status(said(serve, nameless)) == 400


def test_more_connections_than_allowed_are_told_so(serve: Serve) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(40):
            held.enter_context(connect(serve))
        with connect(serve) as late:
            assert status(everything(late)) == 503
    assert requests.get(f"{serve.url}/v1/models/tiny", timeout=20).status_code == 200


def test_a_stopped_server_finishes_what_it_began() -> None:
    with serving(f"--model=tiny={FIXTURES}/tiny_int8.tflite") as serve:
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


def test_who_is_refused_is_not_asked_to_continue() -> None:
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    serve = Serve("--http", "127.0.0.1:0", f"--model=tiny={FIXTURES}/tiny_int8.tflite")
    with connect(serve) as connection:
        connection.sendall(head + b"what\r\n")  # no size of a chunk
        assert everything(connection).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert "Traceback" not in serve.stop()


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
