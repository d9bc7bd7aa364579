"""How far files are: bytes as they travel, of all tries at one candidate."""

from littoral_agent.coming import Coming, Progress

A, B = "a" * 64, "b" * 64


def test_what_has_arrived_before_counts() -> None:
    coming = Coming()
    errand = coming.of("digits", A)
    assert coming.progress("digits", A) is None
    errand.expect(600, held=400)
    assert errand.progress == Progress(done_bytes=400, total_bytes=1000)
    errand.came(100)
    assert errand.progress == Progress(done_bytes=500, total_bytes=1000)


def test_a_file_that_is_whole_counts_as_come_when_the_next_try_begins() -> None:
    coming = Coming()
    first = coming.of("digits", A)
    first.expect(1000, held=0)
    first.came(700)
    again = coming.of("digits", A)
    again.expect(300, held=0)  # one of two files is here, and asked for no more
    assert coming.progress("digits", A) == Progress(done_bytes=700, total_bytes=1000)


def test_another_candidate_begins_at_nothing_and_nobody_elses_is_shown() -> None:
    coming = Coming()
    coming.of("digits", A).expect(10, held=0)
    coming.of("digits", B).expect(1000, held=0)
    assert coming.progress("digits", B) == Progress(done_bytes=0, total_bytes=1000)
    assert coming.progress("digits", A) is None
    assert coming.progress("faces", A) is None


def test_who_looks_on_is_told_a_hundred_times_at_most() -> None:
    errand = Coming().of("digits", A)
    errand.expect(1_000_003, held=0)
    told = set()
    for _ in range(10_001):
        told.add(errand.progress)
        errand.came(100)
    assert 90 < len(told) <= 102


def test_an_encoding_that_is_struck_makes_it_more() -> None:
    errand = Coming().of("digits", A)
    errand.expect(100, held=0)
    errand.came(100)
    errand.expect(900, held=0)
    assert errand.progress == Progress(done_bytes=0, total_bytes=900)
