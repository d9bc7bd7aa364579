"""Whether two processes speak as one device: a pure rule over the instances that were heard.

Every process of an agent draws an instance at its start. One that comes back after another
took its place is a return. A board that restarts is another instance each time and never
returns; a message that was late may, once. Who returns again and again has a copy beside it.
"""

from dataclasses import dataclass, field
from typing import Final

WINDOW_MS: Final = 10 * 60 * 1000
RETURNS: Final = 3  # within the window
_MOST: Final = 16  # instances that are remembered
_LONG: Final = 32  # characters of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """Which instances of one device were heard lately."""

    now: str = ""  # the one that spoke last
    before: dict[str, int] = field(default_factory=dict)  # others: when another took their place
    returns: tuple[int, ...] = ()  # when, the last one last

    @property
    def cloned(self) -> bool:
        """Whether this is more than chance."""
        return len(self.returns) >= RETURNS

    @property
    def words(self) -> str:
        """Return what was seen, for people."""
        return (
            f"two processes spoke as this device in turn: {len(self.returns)} times one came back "
            f"after another had taken its place, within {_seconds(self.returns)} s"
        )


def see(seen: Sightings, instance: str, *, now_ms: int) -> Sightings:
    """Return ``seen`` with ``instance`` heard now; the same object where that changes nothing."""
    instance = instance[:_LONG]
    # (1) Who says no instance says nothing of clones; the present one may go on speaking.
    if instance in ("", seen.now):
        return seen
    since_ms = now_ms - WINDOW_MS
    before = {one: at_ms for one, at_ms in seen.before.items() if at_ms >= since_ms}
    returns = tuple(at_ms for at_ms in seen.returns if at_ms >= since_ms)
    # (2) One whose place was taken within the window, and who speaks again, returns.
    if before.pop(instance, None) is not None:
        returns = (*returns, now_ms)[-RETURNS:]
    # (3) It takes the place of the present one.
    if seen.now:
        before[seen.now] = now_ms
    latest = sorted(before, key=before.__getitem__)[-_MOST:]
    return Sightings(now=instance, before={one: before[one] for one in latest}, returns=returns)


def _seconds(returns: tuple[int, ...]) -> int:
    return max(1, round((returns[-1] - returns[0]) / 1000)) if returns else 0
