"""Whoever is halted ends what it waits for, and does nothing any more."""

import threading
import time

import pytest

from littoral_agent.halting import Halt, HaltedError
from littoral_agent.turns import Turns
from patience import patient


def test_what_waits_is_ended_once_and_not_after_it_has_ended_by_itself() -> None:
    halt, ended = Halt(), []
    with halt.ended_by(lambda: ended.append("early")):
        pass
    with halt.ended_by(lambda: ended.append("now")):
        halt.say()
        halt.say()
    assert ended == ["now"]
    with pytest.raises(HaltedError), halt.ended_by(lambda: None):
        pass


def test_nothing_is_done_after_it_was_said_and_what_is_being_done_is_waited_for() -> None:
    halt, done = Halt(), threading.Event()
    begun = threading.Event()

    def write() -> None:
        with halt.going():
            begun.set()
            time.sleep(0.1)
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(5)
    halt.say()
    assert done.is_set(), "half a write is none"
    thread.join()
    with pytest.raises(HaltedError), halt.going():
        pass


def test_a_wait_ends_with_the_word() -> None:
    halt = Halt()
    halt.wait(0.01)
    threading.Timer(0.05, halt.say).start()
    before = time.monotonic()
    with pytest.raises(HaltedError):
        halt.wait(60)
    assert time.monotonic() - before < patient(5)


def test_a_turn_is_given_back_by_its_end_or_by_a_halt() -> None:
    turns, first, second = Turns(), Halt(), Halt()
    with turns.of("a", first), turns.of("b", second):
        pass
    with turns.of("a", first):
        first.say()
        with turns.of("a", second):
            pass
    second.say()
    with pytest.raises(HaltedError), turns.of("c", second):
        pass
