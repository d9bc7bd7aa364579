"""What a device is in the middle of when something happens to it: start, wish and end."""

from dataclasses import dataclass
from typing import Final, Literal

from faults.job import Goal

Start = Literal["empty", "good", "probation", "failing"]

# The releases that are published: two that are fine, one for each way to be found out; and two
# that are fine and come by a patch, of which one is the patch of something else.
SOUND, NEXT, FAILS_TEST, FAILS_WATCH, PATCHED, SPOILED = 1, 2, 3, 4, 5, 6
ENCODED: Final = frozenset({PATCHED, SPOILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An update from where it starts to where it has to end, whatever happens between."""

    name: str
    start: Start
    wish: int | None  # the release that the director names; None: no model at all
    goal: Goal
    steps: tuple[str, ...]  # the events that must be reported, each once
    struck: int = 0  # encodings that must be reported, each once

    @property
    def before(self) -> tuple[str, ...]:
        """The events that had been reported where it starts."""
        proven = ("desired", "fetched", "passed", "healthy")
        return {"empty": (), "good": proven}.get(self.start, (*proven, *proven[:3]))

    @property
    def may_serve(self) -> frozenset[int | None]:
        """What a serve that starts at any moment may run: never what is not proven."""
        before = None if self.start == "empty" else SOUND
        return frozenset({before, self.goal.good})


_SOUND: Final = ("desired", "fetched", "passed", "healthy")

SCENARIOS: Final = (
    Scenario(name="first", start="empty", wish=SOUND, goal=Goal(good=SOUND), steps=_SOUND),
    Scenario(name="update", start="good", wish=NEXT, goal=Goal(good=NEXT), steps=_SOUND),
    Scenario(
        name="fails-test",
        start="good",
        wish=FAILS_TEST,
        goal=Goal(good=SOUND, bad="outputs"),
        steps=("desired", "fetched", "failed"),
    ),
    Scenario(
        name="fails-watch",
        start="good",
        wish=FAILS_WATCH,
        goal=Goal(good=SOUND, bad="outputs"),
        steps=("desired", "fetched", "passed", "failed"),
    ),
    Scenario(
        name="proven",
        start="probation",
        wish=NEXT,
        goal=Goal(good=NEXT),
        steps=("healthy",),
    ),
    Scenario(
        name="rolled-back",
        start="failing",
        wish=FAILS_WATCH,
        goal=Goal(good=SOUND, bad="outputs"),
        steps=("failed",),
    ),
    Scenario(
        name="replaced",
        start="probation",
        wish=SOUND,
        goal=Goal(good=SOUND),
        steps=("dropped",),
    ),
    Scenario(name="removed", start="good", wish=None, goal=Goal(good=None), steps=("removed",)),
    Scenario(name="patched", start="good", wish=PATCHED, goal=Goal(good=PATCHED), steps=_SOUND),
    Scenario(
        name="spoiled",
        start="good",
        wish=SPOILED,
        goal=Goal(good=SPOILED),
        steps=_SOUND,
        struck=1,
    ),
)
