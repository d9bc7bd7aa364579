"""However a client's bytes come in pieces: the same frames, and no byte that nobody holds."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, repeat
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littoral.wire import frames
from littoral.wire.frames import HEADER, MAGIC, MAX_HEAD_BYTES, Kind, Refused
from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.protocols.frames import Question
from littoral_serve.protocols.frames_incoming import HEADER_BYTES, Incoming

MOST = 4 * OWN
# By number: what has the first buffer's room, more than that, more than is kept, and much more.
SIZES = (0, 300, 300, 9000, OWN - HEADER_BYTES - 4, OWN, 3 * OWN + 5)
DESCRIBE = len(SIZES)


def message(number: int, value: int) -> bytes:
    """Return a frame that is full of ``value``; those of one number begin the same."""
    if number == DESCRIBE:
        return frames.begin(Kind.DESCRIBE, b"what")
    return begin(number) + np.full(SIZES[number], value % 251, np.uint8).tobytes()


def begin(number: int) -> bytes:
    return frames.begin(Kind.RUN, b"%04d" % number, body_bytes=SIZES[number], within_ms=number)


@dataclass
class Connection:
    """Puts bytes into an Incoming as a connection does; what is asked is answered, or runs."""

    most: int = 100 * MOST
    pieces: Iterator[int] = field(default_factory=lambda: repeat(2 * OWN))
    later: Iterator[bool] = field(default_factory=lambda: cycle([False]))  # whether one runs
    heard: list[tuple[bytes, bytes]] = field(default_factory=list)
    runs: Question | None = None
    again: int = 0  # so many frames were not read anew
    refused: Refused | None = None

    def __post_init__(self) -> None:
        self.bodies = Bodies(self.most)
        self.incoming = Incoming(self.bodies, most_body_bytes=MOST)
        self.incoming.need = HEADER_BYTES
        self.incoming.buffer[:] = b"\xff" * len(self.incoming.buffer)  # of what was there before

    def send(self, data: bytes) -> None:
        incoming, at = self.incoming, 0
        while at < len(data) and self.refused is None:
            room = incoming.buffer[incoming.have :]
            if not room:  # a connection would read no more now
                self.answer()
                continue
            size = min(len(room), next(self.pieces), len(data) - at)
            room[:size] = data[at : at + size]
            incoming.have += size
            at += size
            self.advance()

    def advance(self) -> None:
        incoming = self.incoming
        if incoming.have == incoming.again_bytes and self.runs is None:
            asked = incoming.again()
            if asked is not None:
                self.again += 1
                self.run(asked)
                return
        while incoming.have >= incoming.need and self.runs is None and self.refused is None:
            if not incoming.sized:
                self.refused = incoming.begin()
            elif incoming.left:
                self.refused = incoming.grow()
            else:
                self.take()
        if self.refused is not None:
            incoming.drop()
        else:
            incoming.make_room()

    def take(self) -> None:
        head, body = self.incoming.take()
        if self.incoming.kind == Kind.DESCRIBE:
            self.heard.append((head, bytes(body)))
            return
        asked = Question(head, body, within_ns=self.incoming.within_ms)
        assert asked.within_ns == int(head)
        if self.incoming.alone:
            self.incoming.asked = asked
        self.run(asked)

    def run(self, asked: Question) -> None:
        if next(self.later):
            self.runs = asked
            self.incoming.lend()
        else:
            self.heard.append((asked.head, bytes(asked.body)))

    def answer(self) -> None:
        """Answer what runs, if something does, and go on."""
        if self.runs is not None:
            self.heard.append((self.runs.head, bytes(self.runs.body)))
            self.runs = None
            self.incoming.get_back()
            self.advance()


SOME = st.lists(st.sampled_from([MOST, OWN, 5000, 333, 7]), max_size=7)
PIECES = SOME.map(lambda sizes: [*sizes, MOST])  # or a large frame would take seconds
SENT = st.tuples(
    st.sampled_from([0, 0, 0, 1]),  # which of two: most clients ask the same again
    st.sampled_from([False, False, True]),  # together with the next one
)


def spoken(data: bytes, **words: Any) -> Connection:
    """Return a connection on which ``data`` was said."""
    one = Connection(**words)
    one.send(data)
    return one


@given(
    kinds=st.tuples(*2 * [st.integers(0, DESCRIBE)]),
    sent=st.lists(SENT, min_size=1, max_size=12),
    pieces=PIECES,
    later=st.lists(st.booleans(), min_size=1, max_size=5),
    answered=st.lists(st.booleans(), min_size=1, max_size=5),
)
@settings(max_examples=200)
def test_frames_are_what_was_sent_however_they_came(
    kinds: tuple[int, int],
    sent: list[tuple[int, bool]],
    pieces: list[int],
    later: list[bool],
    answered: list[bool],
) -> None:
    """Also what was lent to who answers later, while more comes."""
    client, answers = Connection(pieces=cycle(pieces), later=cycle(later)), cycle(answered)
    wanted, together = [], b""
    for value, (which, glued) in enumerate(sent):
        number = kinds[which]
        data = message(number, value)
        head = HEADER_BYTES + 4
        wanted.append((data[HEADER_BYTES:head], data[head:]))
        together += data
        if not glued:
            client.send(together)
            together = b""
            if next(answers):
                client.answer()
    client.send(together)
    while client.runs is not None:
        client.answer()
    assert client.refused is None
    assert client.heard == wanted
    assert client.bodies.held == 0
    assert len(client.incoming.buffer) <= OWN


def test_two_frames_may_be_cut_anywhere() -> None:
    data = message(1, 1) + message(2, 2)
    for cut in range(1, len(data)):
        client = spoken(data, pieces=cycle([cut, len(data) - cut]))
        assert client.refused is None, cut
        assert [(head, body[0]) for head, body in client.heard] == [(b"0001", 1), (b"0002", 2)], cut


@pytest.mark.parametrize("pieces", [(1000,), (200, 150, 2000)])
def test_what_begins_as_the_last_frame_is_asked_again(pieces: tuple[int, ...]) -> None:
    client = spoken(message(1, 0), pieces=cycle(pieces), later=cycle([False, False, True]))
    for value in range(1, 5):
        client.send(message(1, value))
        client.answer()
    assert client.again == 4
    assert [body[0] for _, body in client.heard] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "other",
    [
        begin(2) + bytes(300),  # of the same size, with another head
        begin(1)[:12] + bytes(4) + b"0000" + bytes(300),  # to be answered within another time
        begin(1)[:3] + bytes([Kind.DESCRIBE]) + begin(1)[4:] + bytes(300),
    ],
)
def test_what_begins_otherwise_is_read(other: bytes) -> None:
    client = spoken(message(1, 1))
    client.send(other)
    assert client.again == 0
    assert client.heard[1:] == [(other[HEADER_BYTES : HEADER_BYTES + 4], bytes(300))]


def test_what_is_described_is_not_asked_again() -> None:
    client = spoken(message(DESCRIBE, 0))
    client.send(message(DESCRIBE, 0))
    assert (client.again, client.heard) == (0, 2 * [(b"what", b"")])


def test_what_came_along_with_another_leaves_the_last_question_as_it_was() -> None:
    client = spoken(message(1, 1))
    for _ in range(2):
        client.send(2 * message(2, 2))
        client.send(message(1, 3))
    assert client.again == 2


def test_a_large_frame_takes_what_has_arrived_and_at_most_as_much_again() -> None:
    client, data = Connection(later=cycle([True])), message(6, 1)
    for at in range(0, len(data), 50_000):
        assert client.bodies.held <= max(0, 2 * at - OWN)
        client.send(data[at : at + 50_000])
    assert client.bodies.held == len(data) - OWN  # it runs, and holds its bytes
    assert client.runs is not None
    buffer = weakref.ref(client.runs.body.obj)
    client.answer()
    assert client.bodies.held == 0
    assert buffer() is None
    assert len(client.incoming.buffer) < OWN


@pytest.mark.parametrize("part", [3, 100, 5000, OWN + 7000, 2 * OWN + 7000])
def test_what_is_not_whole_is_given_back(part: int) -> None:
    client = spoken(message(1, 1) + message(6, 1)[:part], pieces=repeat(3000))
    assert len(client.heard) == 1
    client.incoming.drop()
    assert (client.bodies.held, client.incoming.have) == (0, 0)


def test_what_there_is_no_room_for_is_refused_at_its_header_or_as_it_grows() -> None:
    client = spoken(message(6, 1)[:HEADER_BYTES], most=OWN)
    assert client.refused is not None
    assert client.refused.code == "overloaded"
    client = Connection(most=MOST)
    data = message(6, 1)
    client.send(data[:1000])
    assert client.bodies.resize(0, MOST)  # others come to hold most of it
    client.send(data[1000:])
    assert client.refused is not None
    assert client.refused.code == "overloaded"
    client.bodies.give(MOST)
    assert client.bodies.held == 0


@pytest.mark.parametrize(
    ("code", "header"),
    [
        ("malformed", HEADER.pack(b"\x8fX", 1, Kind.RUN, 0, 0, 0)),
        ("malformed", HEADER.pack(MAGIC, 1, Kind.DONE, 0, 0, 0)),
        ("malformed", HEADER.pack(MAGIC, 1, 0, 0, 0, 0)),
        ("unsupported-format", HEADER.pack(MAGIC, 2, Kind.RUN, 0, 0, 0)),
        ("endless", HEADER.pack(MAGIC, 1, Kind.RUN, MAX_HEAD_BYTES + 1, 0, 0)),
        ("endless", HEADER.pack(MAGIC, 1, Kind.RUN, 2, MOST + 1, 0)),
        (None, HEADER.pack(MAGIC, 1, Kind.RUN, MAX_HEAD_BYTES, MOST, 0)),
    ],
)
def test_a_header_that_nobody_can_go_on_behind_is_refused(code: str | None, header: bytes) -> None:
    client = spoken(message(1, 1) + header)
    assert (client.refused and client.refused.code) == code
    assert len(client.heard) == 1
