"""Requests that begin as the one before them: answered as if each were the first.

Each conversation is had three times, byte for byte. With a server that may remember; with one
that is given all as what arrived before it was there, which it always parses; and, where each
request is one by itself, over a connection for each. Bad is: an answer that differs
(**answer**); what the log calls a fault (**defect**); a body that stays counted (**leak**); a
connection that does not go on (**hang**).
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from faults.repeats_made import Talk, talk
from faults.repeats_world import World
from faults.tally import Tally

RUNS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How many, and which."""

    runs: int | None = None
    seed: int = 7
    first: int = 0


def run(aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each."""
    tally = Tally()
    runs = RUNS if aim.runs is None else aim.runs
    with _log() as said:
        for number in range(aim.first, aim.first + runs):
            one = talk(aim.seed, number)
            wrong = asyncio.run(_had(one, tally))
            wrong += [f"defect: {line}" for line in said]
            said.clear()
            tally.blame(one, wrong)
            yield tally


async def _had(one: Talk, tally: Tally) -> list[str]:
    """Have the conversation with all, and compare."""
    first, second, third = World(), World(), World()
    wrong: list[str] = []
    apart = b""
    for number, turn in enumerate(one.turns, 2):
        tally.points[turn.deed or "goes on"] += 1
        for at, piece in enumerate(turn.pieces):
            for world in (first, second, third) if at == turn.at else ():
                world.do(turn.deed, number)
            for part in first.hear(piece):
                second.parse(part)
        for world in (first, second):
            if turn.deed == "stuff":
                world.connection.resume_writing()
            wrong += await world.rest()
        for whole in turn.whole if one.plain else ():
            apart += await third.answer(whole)
    a, b = (bytes(world.wire.heard) for world in (first, second))
    tally.count.update(status.decode() for status in _statuses(a))
    wrong += [f"answer: {_where(a, b)}"] if a != b else []
    wrong += [f"answer: apart: {_where(a, apart)}"] if one.plain and a != apart else []
    if (first.wire.over, first.wire.silent) != (second.wire.over, second.wire.silent):
        wrong.append("answer: one of them ends the connection")
    return [*wrong, *first.end(), *second.end()]


def _statuses(heard: bytes) -> list[bytes]:
    return [part[:3] for part in heard.split(b"HTTP/1.1 ")[1:]]


def _where(a: bytes, b: bytes) -> str:
    at = next(
        (k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    at = max(0, at - 60)
    return f"{_statuses(a)} {_statuses(b)}: {a[at : at + 200]!r} and {b[at : at + 200]!r}"


@contextmanager
def _log() -> Iterator[list[str]]:
    """Lend what serve logs as an error."""
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record)[-1500:])

    handler, log = Handler(logging.ERROR), logging.getLogger("littoral_serve")
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)
