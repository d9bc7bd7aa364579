"""Large bodies that must be read carefully keep nobody else waiting."""

import asyncio
import gc
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from littoral.errors import BackendError
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.protocols.apart import Apart
from littoral_serve.running.refusals import InvalidArgumentError, RefusalError
from patience import patient
from simulators.served import Serve, computed_s, named, serving, wait_until

ROW = [[[k % 10] for k in range(8)] for _ in range(8)]
BIG = 14 * 2**20  # bytes of a body


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving(*named("tiny_int8")) as running:
        yield running


def rows(text: str, last: str) -> bytes:
    return f'{{"instances":[{f"{text}," * (BIG // len(text))}{last}]}}'.encode()


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def longest_s(serve: Serve, act: Callable[[], None]) -> float:
    """Return for how long, of its own processor time, serve kept another client waiting."""
    worst, asked = 0.0, 0
    one = threading.Thread(target=act)
    client = http.client.HTTPConnection(*serve.address, timeout=patient(60))
    one.start()
    while one.is_alive():
        before = computed_s(serve)
        client.request("GET", "/v2/health/ready")
        assert client.getresponse().read()
        worst, asked = max(worst, computed_s(serve) - before), asked + 1
        time.sleep(0.01)
    assert asked > 3
    client.close()
    return worst


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (rows(compact(ROW), "1"), 400),
        (rows(compact({"image": ROW}), compact({"image": 1})), 400),
    ],
    ids=["plain", "named"],
)
def test_others_are_answered_while_a_large_body_is_read(
    serve: Serve, body: bytes, status: int
) -> None:
    """Their health was not told for half a minute, and a supervisor would have ended serve."""
    told: list[requests.Response] = []

    def act() -> None:
        url = f"{serve.url}/v1/models/tiny-int8:predict"
        told.append(requests.post(url, data=body, timeout=patient(60)))

    assert longest_s(serve, act) < 1.5
    assert told[0].status_code == status
    assert "Failed to process element" in told[0].json()["error"]


def test_large_rows_by_name_are_answered_in_their_order(serve: Serve) -> None:
    body = {"instances": [{"image": ROW}] * 2000}
    path = "/v1/models/tiny-int8:predict"
    data = compact(body).encode()
    one = compact({"instances": [ROW]}).encode()
    assert len(data) > 256 * 1024 > len(one)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(serve.address, timeout=patient(60)) as client:
        for sent in (data, one):
            client.sendall(head.encode() % len(sent) + sent)
        replies = []
        for _ in range(2):
            response = http.client.HTTPResponse(client)
            response.begin()
            reply = json.loads(response.read())
            assert response.status == HTTPStatus.OK, reply
            replies.append(reply["predictions"])
    assert [len(reply) for reply in replies] == [2000, 1]
    assert replies[0][-1] == replies[1][0]


def test_who_leaves_meanwhile_holds_nothing(tmp_path: Path) -> None:
    """Of two large bodies only one has room: the second is taken once the first was forgotten."""
    body = rows(compact(ROW), "1")
    settings = tmp_path / "serve.toml"
    settings.write_text("bodies_bytes = 17_000_000\n")
    with serving(*named("tiny_int8"), f"--settings={settings}") as serve:
        head = b"POST /v1/models/tiny-int8:predict HTTP/1.1\r\nHost: localhost\r\n"
        head += b"Content-Length: %d\r\n\r\n"
        with socket.create_connection(serve.address, timeout=patient(60)) as client:
            client.sendall(head % len(body) + body)
        url = f"{serve.url}/v1/models/tiny-int8:predict"

        def taken() -> bool:
            status = requests.post(url, data=body, timeout=patient(60)).status_code
            assert status in (400, 429)
            return status == HTTPStatus.BAD_REQUEST

        wait_until(taken, within_s=30)


def request() -> Request:
    return Request("POST", b"/", {}, b"", keep_alive=True, arrived_ns=time.perf_counter_ns())


def refuse(error: RefusalError | BackendError) -> Response:
    return Response(400, f"{type(error).__name__}: {error}".encode())


def ask(
    read: Callable[[], int],
    then: Callable[[int], Response | Later] = lambda n: Response(200, b"%d" % n),
    *,
    timeout_ns: int = 10**12,
    leave: bool = False,
) -> Response:
    async def main() -> Response:
        later = Apart(refuse).read(request(), read, then, model="m", timeout_ns=timeout_ns)
        if leave:
            later.cancel()
        given: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        later.then(given.set_result)
        return await given

    return asyncio.run(main())


def test_what_was_read_is_answered_on_the_loop() -> None:
    assert ask(lambda: 7).body == b"7"
    threads: list[threading.Thread] = []

    def read() -> int:
        threads.append(threading.current_thread())
        assert not gc.isenabled()
        return 1

    def then(_: int) -> Response:
        threads.append(threading.current_thread())
        assert gc.isenabled()
        return Response(200, b"")

    assert ask(read, then).status == HTTPStatus.OK
    assert threads[0] is not threads[1] is threading.main_thread()


def test_a_mistake_and_a_fault_are_answered_too() -> None:
    def wrong() -> int:
        raise InvalidArgumentError("no")

    def broken() -> int:
        raise ZeroDivisionError

    assert ask(wrong).body == b"InvalidArgumentError: no"
    assert b"could not be read: ZeroDivisionError" in ask(broken).body

    def then(_: int) -> Response:
        raise InvalidArgumentError("does not fit")

    assert ask(lambda: 1, then).body == b"InvalidArgumentError: does not fit"


def test_whom_nobody_waits_for_and_who_comes_too_late_is_not_answered() -> None:
    def never(_: int) -> Response:
        raise AssertionError

    assert b"LateError: m: it waited" in ask(lambda: 1, never, timeout_ns=0).body
    assert b"LeftError" in ask(lambda: 1, never, leave=True).body


def test_leaving_is_told_to_what_was_begun() -> None:
    async def main() -> None:
        inner, begun = Later(), asyncio.Event()
        left: list[bool] = []
        inner.on_left = lambda: left.append(True)

        def then(_: int) -> Later:
            begun.set()
            return inner

        later = Apart(refuse).read(request(), lambda: 1, then, model="m", timeout_ns=10**12)
        await begun.wait()
        later.cancel()
        assert left == [True]
        assert inner.left
        inner.give(Response(200, b"x"))
        assert later.response is not None

    asyncio.run(main())
