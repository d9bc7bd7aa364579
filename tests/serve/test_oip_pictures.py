"""Pictures in the Open Inference Protocol: how they are told, and how long they may take."""

import base64
import json
import struct
from typing import Any

import pytest

from littoral_serve.protocols import oip_pictures
from littoral_serve.protocols.oip_pictures import InferPictures
from littoral_serve.running.refusals import InvalidArgumentError

FILES = [b"one", b"", b"three"]
PACKED = b"".join(struct.pack("<I", len(one)) + one for one in FILES)


def head(shape: Any = (3,), data: Any = None, **more: Any) -> bytes:
    one = {"name": "image_bytes", "datatype": "BYTES", "shape": shape}
    said = {"parameters": {"binary_data_size": len(PACKED)}} if data is None else {"data": data}
    return json.dumps({"inputs": [one | said], **more}).encode()


def binary(text: bytes, rest: bytes = PACKED) -> InferPictures:
    found = oip_pictures.read(text + rest, b"%d" % len(text))
    assert found is not None
    return found


@pytest.mark.parametrize("shape", [[3], [3, 1]])
def test_files_stand_in_a_row_or_in_a_column(shape: list[int]) -> None:
    assert binary(head(shape)).files == FILES


@pytest.mark.parametrize("shape", [[2], [4], [1, 3], [3, 2], [], None])
def test_there_are_as_many_as_the_shape_says(shape: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"expected \[3\], as many as there are"):
        binary(head(shape))


def test_in_json_each_is_base64_alone_or_in_a_list_of_its_own() -> None:
    data: list[Any] = [base64.b64encode(one).decode() for one in FILES]
    for given in (data, [[one] for one in data]):
        found = oip_pictures.read(head(data=given), None)
        assert found is not None
        assert found.files == FILES


@pytest.mark.parametrize("cut", range(1, len(PACKED)))
def test_what_is_cut_off_is_refused_wherever_it_is(cut: int) -> None:
    """But behind a whole element: then there are fewer, which the shape tells."""
    if PACKED[:cut] in (PACKED[:7], PACKED[:11]):
        assert list(oip_pictures.unpacked(PACKED[:cut])) == FILES[: (cut - 3) // 4]
        return
    with pytest.raises(InvalidArgumentError, match="longer than what is left"):
        list(oip_pictures.unpacked(PACKED[:cut]))


def test_a_timeout_comes_in_microseconds_and_0_is_none() -> None:
    assert binary(head(parameters={"timeout": 3})).timeout_ns == 3000
    assert binary(head(parameters={"timeout": 0})).timeout_ns is None
    assert binary(head()).timeout_ns is None


@pytest.mark.parametrize("said", [b"9" * 5000, b"0" * 5000, b"999", b"x", b"", b"-1"])
def test_a_length_of_the_head_that_is_none_is_the_clients_mistake(said: bytes) -> None:
    """Also one of more digits than Python turns into a number."""
    with pytest.raises(InvalidArgumentError, match="inference header size should be in range"):
        oip_pictures.read(head() + PACKED, said)
