"""Turns at what bears a name: one thread at a time, and whoever was halted keeps nobody waiting."""

import threading
import time

import pytest

from littoral_agent.halting import Halt, HaltedError
from littoral_agent.turns import Turns
from patience import patient


def held(turns: Turns, name: str, halt: Halt, until: threading.Event) -> threading.Thread:
    """Have a turn in another thread, until it is told."""
    has = threading.Event()

    def have() -> None:
        with turns.of(name, halt):
            has.set()
            until.wait(10)

    thread = threading.Thread(target=have)
    thread.start()
    assert has.wait(10)
    return thread


def test_one_waits_for_the_other_and_for_no_other_name() -> None:
    turns, until = Turns(), threading.Event()
    thread = held(turns, "a", Halt(), until)
    with turns.of("b", Halt()):
        threading.Timer(0.2, until.set).start()
        begun = time.monotonic()
        with turns.of("a", Halt()):
            assert time.monotonic() - begun > 0.1
    thread.join()


def test_who_was_halted_in_its_turn_is_not_waited_for() -> None:
    turns, until, halt = Turns(), threading.Event(), Halt()
    thread = held(turns, "a", halt, until)
    halt.say()
    with turns.of("a", Halt()):
        until.set()
        thread.join()  # it ends, and does not take this turn with it
        with turns.at_once("a", Halt()) as mine:
            assert not mine
    with turns.at_once("a", Halt()) as mine:
        assert mine


def test_whoever_waits_is_halted_soon() -> None:
    turns, until, halt = Turns(), threading.Event(), Halt()
    thread = held(turns, "a", Halt(), until)
    threading.Timer(0.1, halt.say).start()
    begun = time.monotonic()
    with pytest.raises(HaltedError), turns.of("a", halt):
        pass
    assert time.monotonic() - begun < patient(1)
    until.set()
    thread.join()


def test_a_turn_is_passed_on_when_it_ends_in_an_error() -> None:
    turns = Turns()
    with pytest.raises(OSError, match="full"), turns.of("a", Halt()):
        raise OSError("full")
    with turns.at_once("a", Halt()) as mine:
        assert mine
