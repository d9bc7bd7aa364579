"""In which encodings a file is offered: only where they are worth it, and only what works."""

import hashlib
import random
from pathlib import Path

import pytest

from littoral.errors import HashError
from littoral_converter import offers, patches

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes()
OTHER = (FIXTURES / "tiny_int8_b.tflite").read_bytes()
NOISE = random.Random(1).randbytes(5000)


def test_a_patch_is_offered_where_it_is_smaller_than_zstd() -> None:
    near = TINY[:-1] + b"x"
    zstd, patch = offers.offers(TINY, [near])
    assert (zstd.encoding.kind, zstd.encoding.base) == ("zstd", None)
    assert (patch.encoding.kind, patch.encoding.base) == ("patch", hashlib.sha256(near).hexdigest())
    assert patch.encoding.size < zstd.encoding.size < len(TINY)
    for offer in (zstd, patch):
        assert offer.encoding.size == len(offer.data)
        assert offer.encoding.sha256 == hashlib.sha256(offer.data).hexdigest()


def test_zstd_is_offered_where_it_is_smaller_than_the_file() -> None:
    assert list(offers.offers(NOISE, [])) == []
    (patch,) = offers.offers(NOISE, [NOISE])
    assert patch.encoding.kind == "patch"


def test_a_patch_that_helps_nothing_is_not_offered() -> None:
    (zstd,) = offers.offers(bytes(5000), [NOISE])
    assert zstd.encoding.kind == "zstd"
    assert list(offers.offers(NOISE, [TINY])) == []


def test_what_saves_less_than_naming_it_takes_is_not_offered() -> None:
    (zstd,) = offers.offers(bytes(300), [])
    assert zstd.encoding.size < 300 - offers.NAMED["zstd"]
    assert list(offers.offers(bytes(100), [])) == []


def test_what_does_not_give_the_file_back_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "make", lambda base, _: patches_of_another(base))
    with pytest.raises(HashError):
        list(offers.offers(TINY, [OTHER]))


_real = patches.make


def patches_of_another(base: bytes) -> bytes:
    return _real(base, TINY[:-1] + b"x")
