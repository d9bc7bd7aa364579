"""A record of TLS that comes byte by byte: slow is not silent, and slow enough is not refused."""

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from littoral.errors import SlowError, UnreachableError
from littoral_agent import origin
from simulators.broker import ConsoleCa

WAIT_S = 0.9


class Slow:
    """A server whose answer is one record of TLS, and a line that gives ``rate`` of its bytes."""

    def __init__(self, tls: ConsoleCa, *, rate: float, size: int, first: int = 0) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.certificate, tls.key)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._door.getsockname()[1]}"
        self._rate, self.body, self._first = rate, bytes(size), first
        self._ended = threading.Event()

    def run(self) -> None:
        link, _ = self._door.accept()
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        secured = self._context.wrap_bio(into, out, server_side=True)
        with link:
            self._turn(link, into, out, secured.do_handshake)
            self._turn(link, into, out, lambda: secured.read(65536))
            secured.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.body))
            link.sendall(out.read())
            secured.write(self.body)
            record = out.read()
            link.sendall(record[: self._first])
            sent, began = self._first, time.monotonic()
            while sent < len(record) and not self._ended.wait(0.02):
                due = int((time.monotonic() - began) * self._rate)
                link.sendall(record[sent:due])
                sent = max(sent, due)
            self._ended.wait(5)

    @staticmethod
    def _turn(link: socket.socket, into: ssl.MemoryBIO, out: ssl.MemoryBIO, do: object) -> None:
        for _ in itertools.count():
            try:
                do()  # type: ignore[operator]
            except ssl.SSLWantReadError:
                link.sendall(out.read())
                into.write(link.recv(65536))
            else:
                break
        link.sendall(out.read())

    def end(self) -> None:
        self._ended.set()
        self._door.close()


@contextmanager
def slow(
    folder: Path, *, rate: float, size: int, first: int = 0
) -> Iterator[tuple[Slow, origin.Origin]]:
    tls = ConsoleCa(folder / "tls")
    server = Slow(tls, rate=rate, size=size, first=first)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with closing(origin.Origin(server.url, ca=tls.ca)) as asked:
            yield server, asked
    finally:
        server.end()
        thread.join(10)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "READ_S", WAIT_S)


def test_a_record_that_drips_is_slow_and_not_silent(tmp_path: Path) -> None:
    with (
        slow(tmp_path, rate=60, size=16_000) as (_, asked),
        asked.stream("blob") as stream,
        pytest.raises(SlowError, match="bytes arrived"),
    ):
        list(stream.chunks)


def test_a_record_that_comes_fast_enough_is_waited_for(tmp_path: Path) -> None:
    with (
        slow(tmp_path, rate=2_000, size=5_000) as (server, asked),
        asked.stream("blob") as stream,
    ):
        began = time.monotonic()
        assert b"".join(stream.chunks) == server.body
        assert time.monotonic() - began > 2 * WAIT_S, "longer than anybody waits for a byte"


@pytest.mark.parametrize("first", [0, 60], ids=["nothing", "a packet, and nothing more"])
def test_silence_is_nobody(tmp_path: Path, first: int) -> None:
    with (
        slow(tmp_path, rate=0, size=3_000, first=first) as (_, asked),
        asked.stream("blob") as stream,
        pytest.raises(UnreachableError, match="timed out"),
    ):
        list(stream.chunks)
