"""However a client's bytes come in pieces: the same requests, and no byte that nobody holds."""

import itertools
from collections import deque
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.http.incoming import Incoming
from littoral_serve.http.messages import Request, Response, failure

MOST = 2 * OWN
# By kind: what is copied, what is received where it stays, what is more than a connection's own.
SIZES = (0, 3, 3, 4200, 4200, 70_000, OWN + 9000, OWN + 9000)
Kind = int


def message(kind: Kind, number: int, *, chunked: bool = False) -> tuple[bytes, bytes]:
    """Return a request, and its body, which no other has."""
    body = (b"%05d" % number * (SIZES[kind] // 5 + 1))[: SIZES[kind]]
    how, sent = b"Content-Length: %d" % len(body), body
    if chunked:
        how, sent = b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        sent = sent if body else b"0\r\n\r\n"
    return b"POST /%d HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n%s" % (kind, how, sent), body


class Client:
    """Sends to an Incoming as a transport would; what it finds is answered, or waits."""

    def __init__(self, *, most: int = 100 * MOST) -> None:
        self.found: deque[Request | Response] = deque()
        self.bodies = Bodies(most)
        self.heard: list[tuple[bytes, bytes]] = []
        self.incoming = Incoming(
            self.found,
            bodies=self.bodies,
            most_body_bytes=MOST,
            full=lambda _: failure(HTTPStatus.SERVICE_UNAVAILABLE),
        )

    def send(
        self, data: bytes, pieces: "itertools.cycle[int]", waits: "itertools.cycle[bool]"
    ) -> None:
        at = 0
        while at < len(data):
            room = self.incoming.room()
            size = min(len(room), next(pieces), len(data) - at)
            room[:size] = data[at : at + size]
            at += size
            if self.incoming.took(size):
                if not next(waits):
                    self.answer()
                if self.incoming.filled and self.found:
                    self.incoming.leave()

    def answer(self) -> None:
        while self.found:
            one = self.found.popleft()
            assert isinstance(one, Request), one
            self.bodies.give(len(one.data))
            self.heard.append((one.target, one.body))


SENT = st.tuples(
    st.sampled_from([0, 0, 0, 1]),  # which of two kinds: most clients ask the same again
    st.sampled_from([False, False, False, True]),  # in chunks
    st.sampled_from([False, False, True]),  # together with the next one
)
PIECES = st.lists(st.sampled_from([2 * OWN, 2 * OWN, OWN, 5000, 60, 7]), min_size=1, max_size=7)
WAITS = st.lists(st.booleans(), min_size=1, max_size=5)


@given(
    kinds=st.tuples(*2 * [st.integers(0, len(SIZES) - 1)]),
    sent=st.lists(SENT, min_size=1, max_size=12),
    pieces=PIECES,
    waits=WAITS,
)
@settings(max_examples=200)
def test_requests_are_what_was_sent_however_it_came(
    kinds: tuple[Kind, Kind],
    sent: list[tuple[int, bool, bool]],
    pieces: list[int],
    waits: list[bool],
) -> None:
    client, wanted, together = Client(), [], b""
    sizes, answers = itertools.cycle(pieces), itertools.cycle(waits)
    for number, (which, chunked, glued) in enumerate(sent):
        data, body = message(kinds[which], number, chunked=chunked)
        wanted.append((b"/%d" % kinds[which], body))
        together += data
        if not glued:
            client.send(together, sizes, answers)
            together = b""
    client.send(together, sizes, answers)
    client.answer()
    assert client.heard == wanted
    assert client.bodies.held == 0
    assert not client.incoming.receiving


@given(
    kind=st.integers(0, len(SIZES) - 1),
    before=st.integers(0, 3),
    part=st.floats(0, 1),
    pieces=st.lists(st.integers(1, 2 * OWN), min_size=1, max_size=5),
)
def test_what_is_not_whole_is_given_back(
    kind: Kind, before: int, part: float, pieces: list[int]
) -> None:
    client, again = Client(), message(kind, 7)[0]
    cut = again[: int(part * (len(again) - 1))]
    client.send(again * before + cut, itertools.cycle(pieces), itertools.cycle([False]))
    assert len(client.heard) == before
    client.incoming.drop()
    assert client.bodies.held == 0


@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_there_is_no_room_for_is_refused_and_is_the_last(before: int) -> None:
    """Also where it begins as the last one did, and is not parsed."""
    client = Client(most=OWN)
    large, pieces = message(6, 1)[0], itertools.cycle([OWN])
    client.send(large * before, pieces, itertools.cycle([False]))
    assert client.bodies.resize(0, 2 * OWN)  # others hold all there is
    client.send(large[:100], pieces, itertools.cycle([True]))
    (refusal,) = client.found  # before it is sent
    client.send(large[100:] + message(1, 2)[0], pieces, itertools.cycle([True]))
    assert len(client.found) == 1
    assert isinstance(refusal, Response)
    assert refusal.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert client.incoming.deaf
    assert not client.incoming.receiving
    client.bodies.give(2 * OWN)
    assert client.bodies.held == 0


def test_what_waits_where_it_was_received_is_not_written_over() -> None:
    client, waits = Client(), itertools.cycle([True])
    for number in range(5):
        client.send(message(5, number)[0], itertools.cycle([2 * OWN]), waits)
    assert len(client.found) == 5
    client.answer()
    assert [body for _, body in client.heard] == [message(5, number)[1] for number in range(5)]


def test_a_body_that_looks_like_the_last_request_is_a_body() -> None:
    client, at_once, now = Client(), itertools.cycle([2 * OWN]), itertools.cycle([False])
    last = message(1, 1)[0]
    client.send(last, at_once, now)
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(last)
    client.send(head, at_once, now)
    client.send(last, at_once, now)
    assert client.heard[1:] == [(b"/x", last)]


def test_whoever_waits_to_be_told_to_go_on_is_told_each_time() -> None:
    client, at_once, now = Client(), itertools.cycle([2 * OWN]), itertools.cycle([False])
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    client.send(head + b"abc", at_once, now)
    client.send(head, at_once, now)
    assert client.incoming.continue_due
    client.send(b"def", at_once, now)
    assert [body for _, body in client.heard] == [b"abc", b"def"]


@pytest.mark.parametrize("before", [0, 1])
def test_a_client_that_took_too_long_holds_nothing_any_more(before: int) -> None:
    client, large = Client(), message(6, 1)[0]
    pieces = itertools.cycle([OWN])
    client.send(large * before + large[: OWN + 5000], pieces, itertools.cycle([False]))
    assert client.bodies.held > 0
    client.incoming.refuse(failure(HTTPStatus.REQUEST_TIMEOUT))
    assert client.bodies.held == 0
    assert not client.incoming.receiving
