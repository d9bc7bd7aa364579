"""Waking a thread that waits at sockets."""

import select
import threading
import time
from collections.abc import Iterator

import pytest

from littoral_agent.bell import Bell
from patience import patient


@pytest.fixture
def bell() -> Iterator[Bell]:
    bell = Bell()
    yield bell
    bell.close()
    bell.ring()  # by a thread that did not know


def test_who_waits_at_sockets_is_woken_once_however_often_it_was_rung(bell: Bell) -> None:
    poller = select.poll()
    poller.register(bell, select.POLLIN)
    assert poller.poll(0) == []
    for _ in range(100_000):
        bell.ring()
    assert poller.poll(0) == [(bell.fileno(), select.POLLIN)]
    bell.hush()
    assert poller.poll(0) == []


def test_a_nap_ends_when_it_is_no_longer_wanted_and_not_for_being_rung(bell: Bell) -> None:
    begun, wanted = time.monotonic(), threading.Event()
    bell.ring()
    bell.nap(0.2, until=wanted.is_set)
    assert time.monotonic() - begun >= 0.2

    def end() -> None:
        wanted.set()
        bell.ring()

    threading.Timer(0.1, end).start()
    begun = time.monotonic()
    bell.nap(20, until=wanted.is_set)
    assert time.monotonic() - begun < patient(10)
