"""Rules of bad networks that an agent breaks on purpose, so that the oracle is seen to find it."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from faults.teeth import break_
from littoral.errors import DeniedError, UnreachableError
from littoral.wire.telemetry import Telemetry
from littoral_agent.channel import Outbox
from littoral_agent.deeds import fetching
from littoral_agent.part import Part
from littoral_agent.spool import Message


def from_the_start() -> None:
    """A download that was interrupted begins anew."""
    hash_held = Part._hash_held

    def forget(part: Part) -> None:
        os.ftruncate(part._fd, 0)
        hash_held(part)

    break_(Part, "_hash_held", forget)


def said_twice() -> None:
    """What is sent is sent again under another key."""
    take = Outbox.take

    def twice(outbox: Outbox, **more: Any) -> list[Message]:
        return [again for one in take(outbox, **more) for again in (one, *_again(one))]

    break_(Outbox, "take", twice)


def _again(one: Message) -> list[Message]:
    if one.kind != "telemetry":
        return []
    said = Telemetry.decode(one.body)
    key = replace(said.key, stream=f"{one.stream}-again")
    return [replace(one, stream=key.stream, body=replace(said, key=key).encode())]


def unkept() -> None:
    """What was sent is forgotten, whether or not anybody has it."""
    take = Outbox.take

    def forget(outbox: Outbox, **more: Any) -> list[Message]:
        taken = take(outbox, **more)
        outbox._ends.spool.acknowledge({one.stream: one.sequence for one in taken})
        return taken

    break_(Outbox, "take", forget)


def offended() -> None:
    """Whoever cannot be reached is taken for one who refuses."""
    bring = fetching.bring

    def brought(*words: Any, **more: Any) -> Any:
        try:
            return bring(*words, **more)
        except UnreachableError as e:
            raise DeniedError(str(e)) from e

    break_(fetching, "bring", brought)


BROKEN: Final[dict[str, Callable[[], None]]] = {
    one.__name__: one for one in (from_the_start, said_twice, unkept, offended)
}
