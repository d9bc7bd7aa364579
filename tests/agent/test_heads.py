"""The head of an answer comes in time, or the connection is cut: from a real socket."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from littoral.errors import EndlessError, SlowError
from littoral_agent import drip
from littoral_agent.heads import _Answer
from patience import patient

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def answering(say: Callable[[socket.socket], None], *, timeout_s: float) -> Iterator[_Answer]:
    ours, theirs = socket.socketpair()
    ours.settimeout(timeout_s)
    thread = threading.Thread(target=say, args=(theirs,))
    thread.start()
    answer = _Answer(ours, method="GET")
    try:
        yield answer
    finally:
        answer.close()
        ours.close()
        thread.join()
        theirs.close()


def test_an_answer_that_comes_in_time_is_read() -> None:
    with answering(lambda peer: peer.sendall(GOOD), timeout_s=5) as answer:
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"ok")


def dripping(peer: socket.socket) -> None:
    """Send a head letter by letter: each begins a socket's timeout anew."""
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
        try:
            peer.send(bytes([byte]))
        except OSError:
            return
        time.sleep(0.02)


def test_a_head_that_drips_is_cut_at_twice_the_time_of_one_read() -> None:
    begun = time.monotonic()
    with (
        answering(dripping, timeout_s=0.3) as answer,
        pytest.raises(SlowError, match="did not begin within 1 s"),
    ):
        answer.begin()
    assert time.monotonic() - begun < patient(3)


def test_silence_is_the_sockets_own_error() -> None:
    with answering(lambda _: None, timeout_s=0.2) as answer, pytest.raises(TimeoutError):
        answer.begin()


def pouring(head: bytes, rest: bytes, *, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    """Return who says ``head``, and then ``rest`` again and again, as long as anybody hears it."""

    def say(peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer.sendall(head)
            for _ in range(2_000):
                peer.sendall(rest)
                time.sleep(pause_s)

    return say


def whole(answer: _Answer) -> bytes:
    answer.begin()
    return b"".join(iter(lambda: answer.read1(65536), b""))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (CHUNKED + b"3\r\nabc\r\n0\r\n", b"X: trailer\r\n" * 1000),
        (CHUNKED, b"1;" + b"e" * 60_000 + b"\r\nx\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    ],
    ids=["trailers", "what is said to chunks", "heads before the head"],
)
def test_what_is_none_of_the_body_has_an_end(head: bytes, rest: bytes) -> None:
    with answering(pouring(head, rest), timeout_s=5) as answer, pytest.raises(EndlessError):
        whole(answer)


@pytest.mark.parametrize(
    ("head", "rest"),
    [(CHUNKED + b"3\r\nabc\r\n0\r\n", b"X: y\r\n"), (CHUNKED, b"0")],
    ids=["trailers", "the size of a chunk"],
)
def test_what_is_none_of_the_body_does_not_drip_for_ever(
    head: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its bytes begins a socket's timeout anew."""
    monkeypatch.setattr(drip, "SLOW_OVER_S", 0.5)
    begun = time.monotonic()
    with (
        answering(pouring(head, rest, pause_s=0.1), timeout_s=5) as answer,
        pytest.raises(SlowError, match="none of what was asked for"),
    ):
        whole(answer)
    assert time.monotonic() - begun < patient(3)


def test_a_body_in_many_small_chunks_is_read_whole() -> None:
    small = b"8\r\n12345678\r\n" * 20_000
    with answering(
        lambda peer: peer.sendall(CHUNKED + small + b"0\r\n\r\n"), timeout_s=5
    ) as answer:
        assert whole(answer) == b"12345678" * 20_000
