"""What a device asks of a file over the broker, and what it is answered: read strictly."""

import pytest

from littoral.errors import MalformedError
from littoral.wire.blocks import MOST_ASKED, MOST_BLOCK, Answer, Ask, Block

ASK = Ask(number=7, console="b", seen=3, start=2**40, length=MOST_ASKED, name="blobs/" + "a" * 64)
BLOCK = Block(number=7, console="b", mark=9, start=5, total=2**40, data=b"\0\xff" * 16384)


def test_what_is_said_is_what_is_read() -> None:
    for ask in (ASK, Ask(number=2**32 - 1, name="time/0f0f")):
        assert Ask.decode(ask.encode()) == ask
    for block in (BLOCK, Block(number=0, console="a", answer=Answer.FORGOTTEN)):
        assert Block.decode(block.encode()) == block
    assert len(BLOCK.data) == MOST_BLOCK
    assert len(BLOCK.encode()) - MOST_BLOCK < 32, "a block costs little beside what it brings"


def test_an_ask_is_for_a_name_and_for_no_more_than_may_be_asked() -> None:
    good = ASK.encode()
    head = good[: -len(ASK.name)]
    for bad in (
        b"",
        head,
        b"\2" + good[1:],
        head + b"x" * 257,
        head + b"blobs/\xff",
        head + "blobs/ü".encode(),
        head + b"blobs/a b",
        head + b"blobs/a\n",
        Ask(number=1, length=MOST_ASKED + 1, name="x").encode(),
        Ask(number=1, start=2**63, name="x").encode(),
        Ask(number=1, console="A", name="x").encode(),
    ):
        with pytest.raises(MalformedError):
            Ask.decode(bad)


def test_a_block_lies_in_its_file_and_is_no_longer_than_blocks_are() -> None:
    good = BLOCK.encode()
    for bad in (
        b"",
        good[:20],
        b"\2" + good[1:],
        good + b"x",
        good[:5] + b"\0" + good[6:],  # an answer of nobody's: to it one would ask for ever
        good[:6] + b"\4" + good[7:],  # an answer that nobody gives
        Block(number=1, console="a", start=1, total=3, data=b"abc").encode(),
    ):
        with pytest.raises(MalformedError):
            Block.decode(bad)
