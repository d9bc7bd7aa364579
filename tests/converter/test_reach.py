"""Which parts of the base new bytes may refer to."""

import random

import pytest

from littoral.bundle.patch import REACH
from littoral_converter import reach
from littoral_converter.reach import Base

RNG = random.Random(1)
WHOLE = RNG.randbytes(REACH + 2**19)
LARGE = Base(WHOLE)


def test_a_small_base_is_a_reach_as_a_whole() -> None:
    base = RNG.randbytes(5000)
    assert Base(base).reach(base[1000:3000]) == ((0, 5000),)


def test_of_a_large_one_the_likely_blocks_are() -> None:
    new = WHOLE[1_000_000:1_030_000] + WHOLE[50_000:60_000]
    reach = LARGE.reach(new)
    assert sum(size for _, size in reach) < 100_000
    assert new[:30_000] in LARGE.read(reach)
    assert new[30_000:] in LARGE.read(reach)


def test_no_reach_is_larger_than_is_allowed() -> None:
    something_of_all = b"".join(WHOLE[at : at + 128] for at in range(0, len(WHOLE), 2**14))
    reach = LARGE.likely(something_of_all)
    assert sum(size for _, size in reach) == REACH


def test_the_blocks_that_share_most_come_first() -> None:
    something_of_all = b"".join(WHOLE[at : at + 128] for at in range(0, len(WHOLE), 2**14))
    reach = LARGE.read(LARGE.likely(something_of_all + WHOLE[-5000:]))
    assert WHOLE[-5000:] in reach


def test_what_helps_nothing_is_no_reach() -> None:
    assert Base(b"").reach(b"new") == ()
    assert Base(RNG.randbytes(5000)).reach(RNG.randbytes(5000)) == ()
    assert LARGE.reach(b"short") == ()


def test_of_a_base_that_is_very_large_some_places_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its index would take 24 times its size in memory."""
    monkeypatch.setattr(reach, "_INDEXED", len(WHOLE) // 7)
    monkeypatch.setattr(reach, "_PART", 2**18)
    sampled = Base(WHOLE)
    new = WHOLE[1_000_000:1_030_000] + WHOLE[50_000:60_000]
    places = sampled.read(sampled.reach(new))
    assert new[:30_000] in places
    assert new[30_000:] in places
    kept, all_ = (len(base._index[0]) for base in (sampled, LARGE))
    assert 0.9 * all_ < 8 * kept < 1.1 * all_
