"""Answers that come too slowly, whatever they began with, and those that never begin."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from types import SimpleNamespace
from typing import Any, Self

import pytest

from littoral.errors import SlowError, UnreachableError
from littoral_agent import origin
from patience import patient


class Dripping:
    """An answer, of so many bytes after so many seconds, again and again."""

    def __init__(self, plan: Iterator[tuple[int, float]]) -> None:
        self.now_s, self._plan = 0.0, plan

    def read1(self, amount: int) -> bytes:
        count, seconds = next(self._plan, (0, 0.0))
        self.now_s += seconds
        return bytes(min(count, amount))


def read(monkeypatch: pytest.MonkeyPatch, *plan: tuple[int, float]) -> tuple[int, Dripping]:
    answer: Any = Dripping(iter(plan))
    monkeypatch.setattr(origin, "time", SimpleNamespace(monotonic=lambda: answer.now_s))
    try:
        return len(origin._capped("metadata/timestamp.json", answer, 5_000_000)), answer
    except SlowError:
        return -1, answer


@pytest.mark.parametrize(
    ("plan", "within_s"),
    [
        ([*[(65_536, 0.01)] * 60, *[(1, 29.0)] * 100_000], 120),  # a burst is no credit for ever
        ([(1, 29.0)] * 100_000, 60),  # each read is in time, and none of them is any use
    ],
    ids=["burst", "drip"],
)
def test_metadata_that_drips_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, plan: list[tuple[int, float]], within_s: float
) -> None:
    found, answer = read(monkeypatch, *plan)
    assert found == -1
    assert answer.now_s <= within_s


def test_who_is_slow_and_steady_is_heard_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found, answer = read(monkeypatch, *[(10_000, 25.0)] * 400)
    assert (found, answer.now_s) == (4_000_000, 10_000.0)


@contextmanager
def dripping(every_s: float) -> Iterator[str]:
    """Answer each request letter by letter, and never come to the end of the head."""
    ended = threading.Event()

    def drip(link: socket.socket) -> None:
        with link, suppress(OSError):
            link.recv(4096)
            link.sendall(b"HTTP/1.1 200 OK\r\nX-Never: ")
            while not ended.wait(every_s):
                link.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: drip(server.accept()[0]))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(10)


def test_a_head_that_drips_is_not_waited_for() -> None:
    """Each letter is in time, and there may be six millions of them."""
    with dripping(0.05) as url, closing(origin.Origin(url, ca=None)) as asked:
        begun = time.monotonic()
        with pytest.raises(SlowError, match="did not begin within 1 s"):
            asked.get("metadata/timestamp.json", limit=1000, read_s=0.5)
        assert time.monotonic() - begun < patient(5)


class Forgetful:
    """A server that keeps a connection and lets go of it when the next request is on its way."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._door.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._door.accept()
                with link, suppress(OSError):
                    self._hear(link)
                    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    self._hear(link)

    @staticmethod
    def _hear(link: socket.socket) -> None:
        """Read one request to its end."""
        with link.makefile("rb") as said:
            length = 0
            while (line := said.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            said.read(length)


def test_a_connection_that_its_server_let_go_of_meanwhile_is_nobodys_fault() -> None:
    with Forgetful() as server, closing(origin.Origin(server.url, ca=None)) as asked:
        for _ in range(3):
            assert asked.get("metadata/timestamp.json", limit=9).body == b"ok"


def test_what_is_posted_is_not_posted_twice() -> None:
    with Forgetful() as server, closing(origin.Origin(server.url, ca=None)) as asked:
        assert asked.post("device/messages", b"1", limit=9).body == b"ok"
        with pytest.raises(UnreachableError):
            asked.post("device/messages", b"2", limit=9)
