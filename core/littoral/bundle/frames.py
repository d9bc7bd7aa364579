"""zstd in independent frames: how a file travels where no older one helps.

A frame holds at most 1 MiB of the plain file and says so before its first block, needs no window
beyond itself, and refers to nothing before it. All but the last hold 1 MiB. `zstd -d` reads what
is written here; we read only that, and not all that zstd allows: a reader of hostile bytes has
nothing to gain from what no honest writer uses. docs/encodings.md draws a frame.

Its digest was checked before a byte of it comes here. This bounds what memory and time the
publisher's own mistake, or a stolen key, can cost.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import zstandard

from littoral.errors import EndlessError, MalformedError

PLAIN: Final = 2**20  # the most that a frame holds
LEVEL: Final = 19
_NO_REPEATS: Final = {
    "strategy": zstandard.STRATEGY_FAST,
    "min_match": 7,  # the most there is
    "target_length": 0,  # else this strategy gives bytes no code either
}

Read = Callable[[int], bytes]

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# What the byte behind it says, and in how many bytes the size follows: one segment, no checksum,
# no dictionary's number. A size in two bytes begins at 256.
_SIZES: Final = {0x20: (1, 0), 0x60: (2, 256), 0xA0: (4, 0)}
# As zstd says it, and as its Python package does of a dictionary.
_NO_MEMORY: Final = re.compile("not enough memory|could not create decompression dict")
_RAW, _RUN, _COMPRESSED = range(3)
_LEAST: Final = {_RAW: 1, _RUN: 1, _COMPRESSED: 2}  # an empty block would be no progress


def compress(
    plain: bytes, reach: bytes = b"", *, blocks: Sequence[bytes] = (), repeats: bool = True
) -> bytes:
    """Return ``plain`` as one frame, which may refer to ``reach``.

    Where it is known that the kind of numbers changes, ``blocks`` is ``plain`` in parts of less
    than 128 KiB, each of which begins a block with a code of its own. Without ``repeats`` next to
    nothing is said by what stood before, as is best for what is noise: zstd finds three equal
    bytes in it everywhere, and telling where takes more than it saves.
    """
    if not 0 < len(plain) <= PLAIN:
        raise ValueError(f"a frame holds 1 to {PLAIN} bytes, not {len(plain)}")
    room = max(10, (len(plain) + len(reach) - 1).bit_length())
    parameters = zstandard.ZstdCompressionParameters.from_level(
        LEVEL,
        window_log=room,
        enable_ldm=bool(reach),
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
        **({} if repeats else _NO_REPEATS),
    )
    zstd = zstandard.ZstdCompressor(compression_params=parameters, dict_data=_dictionary(reach))
    if len(blocks) <= 1:
        return zstd.compress(plain)
    frame, out = zstd.compressobj(size=len(plain)), []
    for block in blocks[:-1]:
        out += [frame.compress(block), frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)]
    # A last one of just 128 KiB would be followed by an empty one.
    return b"".join((*out, frame.compress(blocks[-1]), frame.flush()))


def encode(plain: bytes) -> bytes:
    """Return ``plain`` as frames, one after the other."""
    return b"".join(compress(plain[at : at + PLAIN]) for at in range(0, len(plain), PLAIN))


def decode(read: Read, *, size: int) -> Iterator[bytes]:
    """Walk the plain bytes, ``size`` in all, frame by frame.

    Raises:
        MalformedError: These are no frames, or not those of ``size`` bytes.
        EndlessError: More follows.

    """
    reader = Reader()
    while size:
        expected = min(size, PLAIN)
        yield reader.frame(read, size=expected)
        size -= expected
    if read(1):
        raise EndlessError("the encoding", limit=0)


class Reader:
    """Decompresses frames, which may refer to one reach. Not safe to share between threads."""

    __slots__ = ("_zstd",)

    def __init__(self, reach: bytes | bytearray = b"") -> None:
        self._zstd = zstandard.ZstdDecompressor(dict_data=_dictionary(reach), max_window_size=PLAIN)

    def frame(self, read: Read, *, size: int | None = None, most: int = PLAIN) -> bytes:
        """Return the plain bytes of the next frame: ``size`` if that is known, ``most`` at most.

        Raises:
            MalformedError: It is none, or holds another number of bytes.
            MemoryError: There is none left here, which is not the frame's fault.

        """
        told, head = _head(read)
        if size not in (None, told) or not 0 < told <= most:
            expected = f"1 to {most}" if size is None else size
            raise MalformedError(f"a frame: expected {expected} bytes in it, it says {told}")
        with _guarded():
            plain = self._zstd.decompress(_whole(read, told, head), allow_extra_data=False)
        if len(plain) != told:
            raise MalformedError(f"a frame: {told} bytes were announced, {len(plain)} came")
        return plain

    def frame_into(self, read: Read, room: memoryview) -> None:
        """Fill ``room`` with the plain bytes of the next frame, which are as many.

        Raises:
            MalformedError, MemoryError: As ``frame``.

        """
        told, head = _head(read)
        if told != len(room):
            raise MalformedError(f"a frame: expected {len(room)} bytes in it, it says {told}")
        with _guarded(), self._zstd.stream_reader(_whole(read, told, head)) as stream:
            found = stream.readinto(room)  # at once: it knows how much comes, and that it fits
        if found != told:
            raise MalformedError(f"a frame: {told} bytes were announced, {found} came")


@contextmanager
def _guarded() -> Iterator[None]:
    """Tell zstd's errors apart: the frame's fault, and those of whoever has no memory left."""
    try:
        yield
    except zstandard.ZstdError as e:
        if _NO_MEMORY.search(str(e)):
            raise MemoryError(str(e)) from e
        raise MalformedError(f"a frame cannot be decompressed: {e}") from e


def _whole(read: Read, told: int, head: bytes) -> bytearray:
    """Return the frame that begins with ``head``."""
    frame = bytearray(head)  # no list: there may be 200,000 blocks of five bytes
    for part in _blocks(read, most=_bound(told)):
        frame += part
    return frame


def exactly(read: Read, size: int) -> bytes:
    """Return ``size`` bytes of ``read``, which may give fewer at a time. Raises MalformedError."""
    found = read(size)
    if len(found) == size:
        return found
    parts, missing = [found], size - len(found)
    while missing:
        parts.append(read(missing))
        if not parts[-1]:
            raise MalformedError(f"it ends early: {missing} bytes are missing")
        missing -= len(parts[-1])
    return b"".join(parts)


def _head(read: Read) -> tuple[int, bytes]:
    """Return how much the next frame holds, and the bytes that said so."""
    head = exactly(read, 5)
    if head[:4] != _MAGIC or head[4] not in _SIZES:
        raise MalformedError(f"this is no frame that is written here: it begins {head.hex()}")
    length, least = _SIZES[head[4]]
    size = exactly(read, length)
    return int.from_bytes(size, "little") + least, head + size


def _blocks(read: Read, *, most: int) -> Iterator[bytes]:
    """Walk a frame's blocks, headers included: ``most`` bytes at most, and none is empty."""
    head = exactly(read, 3)
    while True:
        word = int.from_bytes(head, "little")
        last, kind, size = word & 1, word >> 1 & 3, word >> 3
        if kind not in _LEAST or size < _LEAST[kind]:
            raise MalformedError(f"a frame: no block is of kind {kind} and {size} bytes")
        travels = 1 if kind == _RUN else size
        most -= 3 + travels
        if most < 0:
            raise MalformedError("a frame is longer than what it holds")
        yield head
        if last:
            yield exactly(read, travels)
            return
        block = exactly(read, travels + 3)  # and the head of the next one
        yield block[:-3]
        head = block[-3:]


def _bound(size: int) -> int:
    """Return the most that zstd makes of ``size`` bytes: what it cannot compress, it stores."""
    return size + size // 256 + 64


def _dictionary(reach: bytes | bytearray) -> zstandard.ZstdCompressionDict | None:
    if not reach:
        return None
    return zstandard.ZstdCompressionDict(reach, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
