"""What is done in other threads, and told in this one."""

import threading

import pytest

from littoral.errors import LittoralError, StorageError
from littoral_agent.halting import Halt, HaltedError
from littoral_agent.hands import Hands, at_once


class Told:
    def __init__(self) -> None:
        self.thread: str | None = None
        self.came: list[str | LittoralError | None] = []

    def __call__(self, _: Halt, came: str | LittoralError | None) -> None:
        self.thread = threading.current_thread().name
        self.came.append(came)


def test_what_came_of_it_is_told_in_the_thread_that_asked() -> None:
    hands, told, ended = Hands(), Told(), threading.Event()
    hands.woken = ended.set
    hands.begin("digits fetch", lambda _: threading.current_thread().name, told)
    assert ended.wait(5)
    assert told.came == [], "not before it is asked for"
    assert hands.settle()
    assert (told.came, told.thread) == (["digits fetch"], threading.current_thread().name)
    assert not hands.settle()


def test_an_error_is_told_and_a_halt_is_nothing() -> None:
    hands, told = Hands(start=at_once), Told()

    def fails(_: Halt) -> str:
        raise StorageError("no space")

    def halts(_: Halt) -> str:
        raise HaltedError

    hands.begin("one", fails, told)
    hands.begin("two", halts, told)
    hands.settle()
    assert isinstance(told.came[0], StorageError)
    assert told.came[1] is None


def test_a_defect_ends_whoever_asked_and_not_a_thread_that_nobody_misses() -> None:
    hands, ended = Hands(), threading.Event()
    hands.woken = ended.set
    hands.begin("one", lambda _: str(1 // 0), Told())
    assert ended.wait(5)
    with pytest.raises(ZeroDivisionError):
        hands.settle()


def test_all_that_is_being_done_can_be_halted() -> None:
    hands, ended = Hands(), threading.Event()
    hands.woken = ended.set

    def waits(halt: Halt) -> str:
        halt.wait(60)
        return "it was not halted"

    told = Told()
    hands.begin("one", waits, told)
    hands.halt()
    assert ended.wait(1)
    hands.settle()
    assert told.came == [None]
