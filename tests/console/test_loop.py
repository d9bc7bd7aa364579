"""The event loop: however many come at once, a turn is short, and everybody's comes."""

import asyncio
import itertools
import selectors
import socket
from collections.abc import Iterator

import pytest

from littoral_console import loop
from littoral_console.loop import AT_ONCE, FewAtOnce, Turns

Pairs = list[tuple[socket.socket, socket.socket]]


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    """Connect more than are told at once."""
    made = [socket.socketpair() for _ in range(2 * AT_ONCE + 3)]
    yield made
    for one, other in made:
        one.close()
        other.close()


def test_few_are_told_at_once_and_nobody_twice_or_never(pairs: Pairs) -> None:
    selector = FewAtOnce()
    for here, there in pairs:
        selector.register(here, selectors.EVENT_READ)
        there.send(b"x")
    told = [selector.select(0) for _ in range(3)]
    assert [len(one) for one in told] == [AT_ONCE, AT_ONCE, 3]
    assert {key.fileobj for one in told for key, _ in one} == {here for here, _ in pairs}
    selector.close()


def test_who_closed_meanwhile_is_not_told_nor_who_has_its_number_now(pairs: Pairs) -> None:
    selector = FewAtOnce()
    for here, there in pairs:
        selector.register(here, selectors.EVENT_READ)
        there.send(b"x")
    first = {key.fileobj for key, _ in selector.select(0)}
    left = [here for here, _ in pairs if here not in first]
    selector.unregister(left[0])
    selector.modify(left[1], selectors.EVENT_WRITE)
    later = {key.fileobj for _ in range(3) for key, _ in selector.select(0)}
    assert later & set(left) == set(left[2:])
    selector.close()


def test_a_timer_rings_between_a_crowd() -> None:
    """All of a crowd is ready in the same moment, and each takes a while."""
    rang: list[int] = []

    async def story() -> None:
        running, served = asyncio.get_running_loop(), 0
        crowd = [socket.socketpair() for _ in range(4 * AT_ONCE)]
        done = asyncio.Event()

        def ring(since: int) -> None:
            rang.append(served - since)

        def serve(one: socket.socket) -> None:
            nonlocal served
            one.recv(1)
            served += 1
            running.call_later(0, ring, served)
            if served == len(crowd):
                done.set()

        for here, there in crowd:
            running.add_reader(here, serve, here)
            there.send(b"x")
        await done.wait()
        for here, there in crowd:
            running.remove_reader(here)
            here.close()
            there.close()
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=loop.new_loop) as runner:
        runner.run(story())
    assert len(rang) == 4 * AT_ONCE
    assert max(rang) < 2 * AT_ONCE


def test_turns_come_to_few_at_once_in_their_order() -> None:
    async def story() -> list[list[int]]:
        turns, came, seen = Turns(), [], []

        async def one(number: int) -> None:
            await turns.mine()
            came.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(2 * AT_ONCE + 1)]
        tasks[1].cancel()
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            seen.append(list(came))
        return seen

    seen = asyncio.run(story())
    assert seen[-1] == [number for number in range(2 * AT_ONCE + 1) if number != 1]
    grown = [len(later) - len(one) for one, later in itertools.pairwise(seen)]
    assert max(grown) <= AT_ONCE
