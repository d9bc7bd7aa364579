"""What an update on one device is called while it goes on, on pages and in terminals. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

from littoral.waits import at, words


class Waiting(Protocol):
    """What a device of a rollout says of waiting."""

    @property
    def waits(self) -> str | None: ...
    @property
    def until_ms(self) -> int | None: ...


_PHASES: Final = {
    "": "asked for",
    "idle": "asked for",
    "fetching": "fetching",
    "testing": "on trial",
    "probation": "in probation",
}


def phase(
    outcome: str, state: str, until_ms: int | None, *, now_ms: int, waits: str | None = None
) -> str:
    """Return how the device fares: its outcome once there is one, else how far it is.

    ``state`` is the device's own word for the model, ``until_ms`` when probation should end, or
    when what ``waits``, by its code, goes on.
    """
    if outcome != "pending":
        return outcome
    if waits is not None:
        return words(waits, until_ms, now_ms=now_ms)
    called = _PHASES.get(state, state)
    if until_ms is None:
        return called
    end = at(until_ms, now_ms)
    return f"{called} until {end}" if until_ms > now_ms else f"{called}, due to end at {end}"


def waiting(devices: Iterable[Waiting], *, now_ms: int) -> tuple[str, ...]:
    """Return for what devices of a rollout wait, and how many, those that wait longest last."""
    groups: Counter[tuple[int, str]] = Counter()
    for d in devices:
        if d.waits is not None:
            groups[d.until_ms or 0, words(d.waits, d.until_ms, now_ms=now_ms)] += 1
    return tuple(
        f"{count} {said.replace('waits', 'wait', 1).replace('its', 'their', 1)}"
        if count > 1
        else f"1 {said}"
        for (_, said), count in sorted(groups.items())
    )
