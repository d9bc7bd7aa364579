"""The head of an answer comes in time, or the connection is cut: from a real socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from littoral.errors import SlowError
from littoral_agent.heads import _Answer

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
    assert time.monotonic() - begun < 3


def test_silence_is_the_sockets_own_error() -> None:
    with answering(lambda _: None, timeout_s=0.2) as answer, pytest.raises(TimeoutError):
        answer.begin()
