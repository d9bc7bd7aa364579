"""The frame's bytes: what is written is read, and what is no frame is said to be none."""

import re
import struct
from pathlib import Path

import pytest

from littoral.errors import MalformedError, UnsupportedFormatError
from littoral.wire import frames
from littoral.wire.frames import Describe, Described, Done, Kind, Refused, Run, Signature, Spec

X = Spec("x", "int8", (1, 8, 8, 1))
HEADS = (
    Run(model="m", inputs=(X, Spec("y", "float32", ())), release=2, signature="raw"),
    Describe(model="m"),
    Done(model="m", release=3, outputs=(X,)),
    Described(
        model="m", release=3, label="l", signatures={"raw": Signature(inputs=(X,), outputs=())}
    ),
    Refused(code="denied", error="no"),
)


@pytest.mark.parametrize("record", HEADS, ids=lambda one: type(one).__name__)
def test_a_head_is_read_as_it_was_written(record: object) -> None:
    head = frames.head(record)
    assert frames.read(type(record), head) == record
    assert (frames.HEADER.size + len(head)) % frames.ALIGNED == 0


def test_a_header_is_sixteen_bytes_as_the_page_says() -> None:
    data = frames.begin(Kind.RUN, b"{}", body_bytes=7, within_ms=9)
    assert data == struct.pack("<BBBBIII", 0x8F, 0x4C, 1, 1, 2, 7, 9) + b"{}"
    assert frames.sizes(b"." + data, 1) == (1, 2, 7, 9)


def test_a_frame_longer_than_a_header_can_say_is_not_begun() -> None:
    with pytest.raises(ValueError, match="at most"):
        frames.begin(Kind.RUN, b"", body_bytes=2**32)


def test_other_bytes_are_no_frame() -> None:
    with pytest.raises(MalformedError, match="found 47 45"):
        frames.sizes(b"GET / HTTP/1.1\r\n\r\n")
    later = b"\x8fL\x02" + bytes(13)
    with pytest.raises(UnsupportedFormatError, match="expected format 1, found 2"):
        frames.sizes(later)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{",
        b"[]",
        b'{"model":"m"}',
        b'{"model":"m","inputs":[],"more":1}',
        b'{"model":"m","inputs":[{"name":"x","dtype":"float64","shape":[1]}]}',
        b'{"model":"m","inputs":[{"name":"x","dtype":"int8","shape":[-1]}]}',
        b'{"model":"m","inputs":[{"name":"x","dtype":"int8","shape":[true]}]}',
        b'{"model":"m","inputs":[{"name":"x","dtype":"int8","shape":[%s1]}]}' % (b"1," * 40),
        b'{"model":"m","inputs":[]}' + b" " * frames.MAX_HEAD_BYTES,
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_a_head_that_is_none_is_malformed(head: bytes) -> None:
    with pytest.raises(MalformedError):
        frames.read(Run, head)


def test_words_that_are_no_unicode_do_not_stop_a_refusal() -> None:
    data = frames.refusal("denied", "\ud800")
    assert frames.read(Refused, data[16:]).error == "?"


def test_a_tensor_is_as_long_as_its_shape_and_type_say() -> None:
    assert Spec("x", "float32", (2, 3)).nbytes == 24
    assert Spec("x", "bool", ()).nbytes == 1
    assert Spec("x", "int64", (2**40, 2**40)).nbytes == 2**83


def test_the_page_names_every_kind_and_type() -> None:
    page = (Path(__file__).parents[2] / "docs/frames.md").read_text()
    told = re.findall(r"^\| (\d+) \| ([a-z]+)", page, re.MULTILINE)
    assert {(str(int(kind)), kind.name.lower()) for kind in Kind} <= set(told)
    for dtype in frames.Dtype.__args__:  # type: ignore[attr-defined]
        assert f"`{dtype}`" in page
