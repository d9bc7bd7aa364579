"""Encodings that are asked for no more: told once, and the machine has three tries first."""

from littoral_agent.struck import MOST_STARVED, Struck


def test_what_is_struck_is_so_from_now_on_and_told_once() -> None:
    told: list[tuple[str, str, str]] = []
    struck = Struck(lambda *what: told.append(what))
    assert "a" not in struck
    struck.strike("a", "it is no frame", code="encoding")
    struck.strike("a", "it is no frame, again", code="encoding")
    assert "a" in struck
    assert told == [("a", "it is no frame", "encoding")]


def test_a_source_that_spoils_it_is_asked_no_more_and_others_are() -> None:
    told: list[tuple[str, str, str]] = []
    struck = Struck(lambda *what: told.append(what))
    struck.strike("a", "other bytes", code="hash", source="https://one")
    assert struck.bars("a", source="https://one")
    assert not struck.bars("a", source="https://two")
    assert "a" not in struck
    struck.strike("a", "it is no frame", code="encoding")
    assert struck.bars("a", source="https://two")
    assert len(told) == 2


def test_a_machine_without_memory_has_some_tries() -> None:
    struck = Struck()
    tries = [struck.starved("a") for _ in range(MOST_STARVED)]
    assert tries == [False, False, True]
    assert not struck.starved("b")
    assert "a" not in struck  # that is for who asks to say
