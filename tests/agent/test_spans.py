"""Which bytes are asked for: each once, and what is lost again, in whatever order they come."""

import random

import pytest

from littoral.errors import UnreachableError
from littoral.wire.blocks import Block
from littoral_agent.spans import Asked, Spans


def ask(spans: Spans, number: int, most: int) -> tuple[int, int] | None:
    piece = spans.next(most)
    if piece is not None:
        start, end = piece
        spans.sent(Asked(number=number, start=start, end=end, sent_s=0.0, sent_at=0))
    return piece


def block(number: int, start: int, data: bytes, total: int) -> Block:
    return Block(number=number, console="a", start=start, total=total, data=data)


def taken(spans: Spans) -> bytes:
    found = b""
    while (chunk := spans.take()) is not None:
        found += chunk
    return found


def test_what_comes_in_order_is_asked_for_once() -> None:
    spans, data = Spans("x", 3), bytes(range(20))
    assert ask(spans, 1, 4) == (3, 7)
    spans.came(block(1, 3, data[3:5], 20))
    assert spans.known
    assert ask(spans, 2, 100) == (7, 20)
    assert ask(spans, 3, 100) is None
    spans.came(block(1, 5, data[5:7], 20))
    spans.came(block(2, 7, data[7:], 20))
    assert (taken(spans), spans.done, spans.held) == (data[3:], True, 0)


def test_a_block_that_is_missing_is_asked_for_as_soon_as_a_later_one_came() -> None:
    spans, data = Spans("x", 0), bytes(range(12))
    ask(spans, 1, 4)
    spans.came(block(1, 0, data[:2], 12))
    ask(spans, 2, 4)
    ask(spans, 3, 4)
    spans.came(block(2, 6, data[6:8], 12))  # 2 to 4 of the first, and 4 to 6 of this one
    assert taken(spans) == data[:2]
    assert (ask(spans, 4, 9), ask(spans, 5, 9)) == ((2, 4), (4, 6))
    spans.came(block(4, 2, data[2:4], 12))
    spans.came(block(5, 4, data[4:6], 12))
    assert ask(spans, 6, 99) == (8, 12), "what was asked for third was lost as well"
    spans.came(block(6, 8, data[8:], 12))
    assert (taken(spans), spans.done) == (data[2:], True)


def test_what_is_asked_for_again_may_still_come_as_it_was_asked_for_first() -> None:
    spans, data = Spans("x", 0), b"abcdefgh"
    ask(spans, 1, 4)
    spans.came(block(1, 0, b"ab", 8))
    ask(spans, 2, 4)
    old = spans.oldest()
    assert old is not None
    assert (old.number, old.start) == (1, 2)
    old.number = 3
    spans.sent_again(old, before=1)
    spans.came(block(1, 2, b"cd", 8))  # late, and no reason to take the second for lost
    assert spans.came(block(3, 2, b"cd", 8)) is None, "it is here"
    spans.came(block(2, 4, b"efgh", 8))
    assert (taken(spans), spans.done) == (data, True)


def test_a_file_of_nothing_is_there_at_once() -> None:
    spans = Spans("x", 0)
    ask(spans, 1, 100)
    spans.came(block(1, 0, b"", 0))
    assert (spans.done, spans.held) == (True, 0)


def test_a_file_that_changed_while_it_came_is_none() -> None:
    spans = Spans("x", 0)
    ask(spans, 1, 4)
    spans.came(block(1, 0, b"ab", 8))
    with pytest.raises(UnreachableError):
        spans.came(block(1, 2, b"cd", 9))


def test_whatever_is_lost_doubled_or_late_the_file_comes_whole() -> None:
    """Any order of losses, doubles and repeats: the bytes are those of the file."""
    for seed in range(300):
        chance, data = random.Random(seed), random.Random(seed).randbytes(97)
        spans, found = Spans("x", 0), b""
        line: list[Block] = []
        for number in range(1, 5000):
            if spans.done:
                break
            first = not spans.known and not spans.under_way
            more = first or spans.stuck or (spans.known and spans.held < 30)
            if more and ask(spans, number, chance.randint(1, 12)):
                line += answers(spans, number, data, chance)
            elif not line:
                old = spans.oldest()
                assert old is not None
                before, old.number = old.number, number
                spans.sent_again(old, before=before)
                line += answers(spans, number, data, chance)
            if line:
                one = line.pop(0)
                if chance.random() > 0.2:
                    spans.came(one)
                if chance.random() < 0.1:
                    line.insert(chance.randint(0, len(line)), one)
            found += taken(spans)
        assert found == data, seed


def answers(spans: Spans, number: int, data: bytes, chance: random.Random) -> list[Block]:
    asked = spans.under_way.get(number)
    if asked is None:
        return []
    found, at, end = [], asked.start, min(asked.end, len(data))
    while at < end:
        step = chance.randint(1, 5)
        found.append(block(number, at, data[at : min(at + step, end)], len(data)))
        at += step
    return found
