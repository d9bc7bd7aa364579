"""zstd in independent frames: what comes back, and what is refused before it costs anything."""

import io
import random
import resource
import time
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle import frames
from littoral.bundle.frames import PLAIN
from littoral.errors import EndlessError, MalformedError


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def decoded(encoded: bytes, size: int) -> bytes:
    return b"".join(frames.decode(io.BytesIO(encoded).read, size=size))


@given(size=st.integers(0, 1000), seed=st.integers(0, 3))
def test_what_was_encoded_comes_back(size: int, seed: int) -> None:
    plain = noise(size) if seed == 0 else bytes([seed]) * size
    assert decoded(frames.encode(plain), size) == plain


@pytest.mark.parametrize("size", [255, 256, 65791, 65792, 2**17, 2**17 + 1, PLAIN, PLAIN + 1])
@pytest.mark.parametrize("plain", [noise, bytes], ids=["noise", "zeros"])
def test_every_way_to_say_a_size_is_read(size: int, plain: type[bytes]) -> None:
    assert decoded(frames.encode(plain(size)), size) == plain(size)


def test_frames_are_what_zstd_reads() -> None:
    plain = noise(PLAIN) + bytes(PLAIN) + b"the rest"
    stream = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(frames.encode(plain)), read_across_frames=True
    )
    assert stream.read() == plain


def test_a_read_may_give_less_than_was_asked() -> None:
    plain = bytes(range(256)) * 20
    source = io.BytesIO(frames.encode(plain))
    assert b"".join(frames.decode(lambda n: source.read(min(n, 3)), size=len(plain))) == plain


def test_a_frame_may_refer_to_its_reach() -> None:
    reach = noise(300_000)
    plain = reach[1000:200_000] + b"and a little more"
    frame = frames.compress(plain, reach)
    assert len(frame) < 200
    assert frames.Reader(reach).frame(io.BytesIO(frame).read) == plain
    with pytest.raises(MalformedError):
        frames.Reader().frame(io.BytesIO(frame).read)


@pytest.mark.parametrize("size", [1, 300, 70_000, PLAIN])
def test_a_frame_may_fill_what_is_there(size: int) -> None:
    room = bytearray(size + 1)
    frame = frames.compress(noise(size))
    frames.Reader().frame_into(io.BytesIO(frame).read, memoryview(room)[:size])
    assert room == noise(size) + b"\x00"
    for wrong in (size - 1, size + 1):
        with pytest.raises(MalformedError, match=f"expected {wrong} bytes"):
            frames.Reader().frame_into(io.BytesIO(frame).read, memoryview(room)[:wrong])


def test_what_does_not_repeat_may_be_told_so() -> None:
    plain = bytes(random.Random(1).choices(range(100, 140), k=100_000))
    without = frames.compress(plain, blocks=[plain[:50_000], plain[50_000:]], repeats=False)
    assert len(without) < len(frames.compress(plain))
    assert decoded(without, len(plain)) == plain


def test_blocks_begin_where_they_are_told() -> None:
    parts = [bytes(random.Random(k).choices(range(k, k + 9), k=5000)) for k in (0, 100, 200)]
    one, cut = frames.compress(b"".join(parts)), frames.compress(b"".join(parts), blocks=parts)
    assert len(cut) < len(one)
    assert decoded(cut, 15000) == b"".join(parts)


# A frame by hand: its head, then blocks of (last, kind, size as it is told, what travels).
RAW, RUN, COMPRESSED, RESERVED = range(4)
Block = tuple[bool, int, int, bytes]


def by_hand(head: bytes, *blocks: Block, magic: bytes = frames._MAGIC) -> bytes:
    words = [(last | kind << 1 | size << 3).to_bytes(3, "little") for last, kind, size, _ in blocks]
    return magic + head + b"".join(w + b[3] for w, b in zip(words, blocks, strict=True))


HEAD = b"\x20\x08"  # one segment, eight bytes
WHOLE: Block = (True, RAW, 8, b"eight by")


def test_the_frame_by_hand_is_one() -> None:
    assert decoded(by_hand(HEAD, WHOLE), 8) == b"eight by"


REFUSED = {
    "another magic": by_hand(HEAD, WHOLE, magic=b"\x27\xb5\x2f\xfd"),
    "a skippable frame": by_hand(HEAD, WHOLE, magic=b"\x50\x2a\x4d\x18"),
    "no size": by_hand(b"\x00\x58", WHOLE),
    "a window of its own": by_hand(b"\x80\xd8" + (8).to_bytes(4, "little"), WHOLE),
    "a size in eight bytes": by_hand(b"\xe0" + (8).to_bytes(8, "little"), WHOLE),
    "a checksum": by_hand(b"\x24\x08", WHOLE) + b"abcd",
    "the number of a dictionary": by_hand(b"\x21\x01\x08", WHOLE),
    "a reserved bit": by_hand(b"\x28\x08", WHOLE),
    "nothing in it": by_hand(b"\x20\x00", (True, RAW, 0, b"")),
    "less than it says": by_hand(HEAD, (True, RAW, 7, b"seven b")),
    "more than it says": by_hand(HEAD, (True, RAW, 9, b"nine byte")),
    "more than it says, as a run": by_hand(HEAD, (True, RUN, 2**17, b"x")),
    "an empty block": by_hand(HEAD, (False, RAW, 0, b""), WHOLE),
    "an empty run": by_hand(HEAD, (False, RUN, 0, b"x"), WHOLE),
    "an empty last block": by_hand(HEAD, (False, *WHOLE[1:]), (True, RAW, 0, b"")),
    "a compressed block of one byte": by_hand(HEAD, (False, COMPRESSED, 1, b"\x00"), WHOLE),
    "a reserved block": by_hand(HEAD, (True, RESERVED, 8, b"eight by")),
    "a block over its limit": by_hand(HEAD, (False, RUN, 2**17 + 1, b"x"), WHOLE),
    "no last block": by_hand(HEAD, (False, *WHOLE[1:])),
    "a short block": by_hand(HEAD, (True, RAW, 8, b"eight")),
    "nothing": b"",
    "half a head": frames._MAGIC + b"\xa0\x08",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_honest_writer_writes_is_refused(what: str) -> None:
    with pytest.raises(MalformedError):
        decoded(REFUSED[what], 8)
    room = bytearray(16)
    with pytest.raises(MalformedError):
        frames.Reader().frame_into(io.BytesIO(REFUSED[what]).read, memoryview(room)[:8])
    assert not any(room[8:])


def test_every_frame_but_the_last_is_full() -> None:
    halves = frames.compress(noise(500)) * 2
    with pytest.raises(MalformedError, match="expected 1000 bytes in it, it says 500"):
        decoded(halves, 1000)


def test_a_frame_of_more_than_a_mebibyte_is_refused_unread() -> None:
    plain = bytes(2 * PLAIN)
    frame = zstandard.ZstdCompressor().compress(plain)
    with pytest.raises(MalformedError, match="it says 2097152"):
        frames.Reader().frame(io.BytesIO(frame).read)


def test_what_goes_on_behind_the_end_is_endless() -> None:
    frame = frames.encode(b"eight by")
    with pytest.raises(EndlessError):
        decoded(frame + frame, 8)
    with pytest.raises(EndlessError):
        decoded(b"x", 0)


def test_blocks_that_make_nothing_cost_little() -> None:
    """A compressed block may hold nothing: a frame of them ends where its plain bytes would."""
    nothing = (COMPRESSED << 1 | 2 << 3).to_bytes(3, "little") + b"\x00\x00"

    def endless() -> Iterator[bytes]:
        yield frames._MAGIC + b"\xa0" + PLAIN.to_bytes(4, "little")
        while True:
            yield nothing

    source, began = endless(), time.process_time()
    left = b""

    def read(size: int) -> bytes:
        nonlocal left
        while len(left) < size:
            left += next(source)
        out, left = left[:size], left[size:]
        return out

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MalformedError, match="longer than what it holds"):
        frames.Reader().frame(read)
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024
