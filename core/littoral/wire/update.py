"""One step of an update's life, as journals keep it and reports tell it."""

# Apart from the messages: serve reads journals when it starts, and no message.

from dataclasses import dataclass, field
from typing import Final

PROBATION_LEFT: Final = "probation_left_s"  # a figure: until probation ends
WAITS_LEFT: Final = "waits_left_s"  # … and until what waits goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One step of an update's life, as it happened on the device.

    Events: desired, dropped, removed, fetched, postponed, refused, passed, failed, stumbled,
    healthy, woke. On probation ``figures`` has ``probation_left_s``: for how long it will still be
    watched; with postponed ``waits_left_s``: for how long it waits, where that is known.
    """

    model: str
    event: str
    state: str  # after the event
    release: int | None = None  # the candidate's
    manifest: str | None = None
    good: int | None = None  # the release that is proven and to which the device returns
    running: int | None = None  # the release that answers requests now
    code: str | None = None  # why it was refused or failed
    detail: str = ""
    figures: dict[str, float] = field(default_factory=dict)
