"""Which sequences of instances are a clone's, and which a board's."""

import pytest

from littoral import records
from littoral_console.clones import WINDOW_MS, Sightings, see

MIN_MS = 60_000


def heard(instances: str, *, every_ms: int = 1_000) -> Sightings:
    """Let each letter be a process that speaks, one after the other."""
    seen = Sightings()
    for n, instance in enumerate(instances):
        seen = see(seen, instance.strip(), now_ms=1_000_000 + n * every_ms)
    return seen


@pytest.mark.parametrize(
    ("instances", "returns", "cloned"),
    [
        ("", 0, False),
        ("AAAAAAAA", 0, False),  # one process goes on speaking
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0, False),  # a board that restarts for ever
        ("AABBCCDDEE", 0, False),
        ("ABA", 1, False),  # a message that was late
        ("ABAB", 2, False),
        ("ABABA", 3, True),
        ("AABBAABBAA", 3, True),  # each speaks more than once in its turn
        ("ABCABC", 3, True),  # two copies beside the board
        ("A B A B A", 3, True),  # who says no instance is nobody
        ("ABACDCEFE", 3, True),  # three pairs: whoever restarts the copy does not hide it
    ],
)
def test_who_returns_again_and_again_has_a_copy_beside_it(
    instances: str, returns: int, *, cloned: bool
) -> None:
    seen = heard(instances)
    assert (len(seen.returns), seen.cloned) == (returns, cloned)


def test_what_was_long_ago_is_forgotten() -> None:
    assert heard("ABABA", every_ms=2 * MIN_MS).cloned
    assert not heard("ABABABABABAB", every_ms=6 * MIN_MS).cloned
    assert not heard("ABABAB", every_ms=WINDOW_MS + 1).returns


def test_a_restart_in_every_second_of_a_day_is_no_clone_and_stays_small() -> None:
    seen = Sightings()
    for n in range(86_400):
        seen = see(seen, f"{n:016x}", now_ms=n * 1_000)
    assert not seen.returns
    assert len(records.to_json(seen)) < 1024


def test_hostile_words_stay_small() -> None:
    seen = see(see(Sightings(), "x" * 10_000, now_ms=1), "y" * 10_000, now_ms=2)
    assert len(records.to_json(seen)) < 200


def test_it_says_what_it_saw() -> None:
    assert heard("ABABA").words.startswith("two processes spoke as this device in turn: 3 times")
    assert heard("ABABA").words.endswith("within 2 s")


def test_it_is_kept_as_a_record() -> None:
    seen = heard("ABAB")
    assert records.from_json(Sightings, records.to_json(seen), limit=4096) == seen
