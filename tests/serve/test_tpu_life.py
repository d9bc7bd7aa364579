"""The table of a TPU's child is whole, and the page that shows it is of this table."""

import itertools
import re
from pathlib import Path

import pytest

from littoral_serve.tpu import life
from littoral_serve.tpu.life import TABLE, Do, Event, State, step

PAGE = Path(__file__).parents[2] / "docs/edgetpu.md"


def test_the_page_shows_this_table() -> None:
    rows = [
        f"| `{state}` | {event} | `{after}` | {', '.join(deeds) or 'nothing'} |"
        for (state, event), (after, deeds) in TABLE.items()
    ]
    head = "| state | event | next | deeds |\n|---|---|---|---|\n"
    assert head + "\n".join(rows) + "\n\n" in PAGE.read_text()


@pytest.mark.parametrize("kind", [State, Event, Do])
def test_the_page_says_of_each_word_what_the_code_says(kind: type[State | Event | Do]) -> None:
    text = PAGE.read_text()
    source = Path(life.__file__).read_text()
    for word in kind:
        said = re.search(rf'    {word.name} = "{word}"  # (.*)', source)
        assert said is not None
        told = re.search(rf"^\| `?{word}`? \| ([^|]*) \|$", text, re.MULTILINE)
        assert told is not None, word
        assert told[1].replace("`", "") == said[1]


def test_every_state_is_reached_and_left() -> None:
    after = {row[0] for row in TABLE.values()}
    assert after == {state for state, _ in TABLE} == set(State)


@pytest.mark.parametrize("state", [State.OPENING, State.READY, State.BUSY])
def test_a_child_may_be_lost_wherever_there_is_one(state: State) -> None:
    after, deeds = step(state, Event.ENDED)
    assert after is State.AWAY
    assert set(deeds) >= {Do.END, Do.TELL, Do.PAUSE}
    assert (Do.FAIL in deeds) == (state is State.BUSY)


def test_a_pause_ends_in_another_child_or_in_none_that_is_needed() -> None:
    for after, deeds in TABLE.values():
        assert (Do.PAUSE in deeds) == (after is State.AWAY)
        assert (Do.START in deeds) == (after is State.OPENING)
    assert {event for state, event in TABLE if state is State.AWAY} == {
        Event.DUE,
        Event.SOUGHT,
        Event.SPARED,
    }


def test_an_order_is_answered_or_failed_and_never_both() -> None:
    for (state, event), (after, deeds) in TABLE.items():
        told = [deed for deed in deeds if deed in {Do.GIVE, Do.FAIL}]
        assert len(told) == (state is State.BUSY), (state, event)
        assert after is not State.BUSY or deeds == (Do.SEND,)


def test_what_is_not_in_the_table_is_refused() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) not in TABLE:
            with pytest.raises(ValueError, match="nobody thought of"):
                step(state, event)
