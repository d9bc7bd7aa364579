"""What is told of a step in an update's life, to the console and to the log. Pure but for the log.

It knows what changed, and nothing of how that came about or where a report goes.
"""

import logging
import secrets
from collections.abc import Mapping
from typing import Final

from littoral import journal_log
from littoral.sizes import size
from littoral.wire.journal import Choice, Journal, Said, State
from littoral.wire.update import PROBATION_LEFT, Update
from littoral_agent.update import Event, Outcome, Step

MOST_DETAIL: Final = 500  # characters of a report's detail
# Reports of these say the same each time under one document: when a refused release is looked at
# again, or when a step back was taken that the disk could not keep, and the agent was killed.
_SAME_AGAIN: Final = frozenset(
    {
        *(Event.DESIRED, Event.FETCHED, Event.POSTPONED, Event.REFUSED),
        *(Event.DROPPED, Event.REMOVED),
    }
)


def said(
    before: Journal,
    taken: Step,
    outcome: Outcome,
    *,
    version: int,
    time_ms: int,
    probation_s: float,
) -> Said:
    """Return the report of the step, of the director's document ``version``."""
    after = taken.journal
    about = after.candidate or before.candidate or before.good
    figures = dict(outcome.figures)
    if after.state is State.PROBATION:
        figures[PROBATION_LEFT] = max(probation_s - after.watched_s, 0.0)
    update = Update(
        model=after.model,
        event=taken.event,
        state=after.state,
        release=about.release if about else None,
        manifest=about.manifest if about else None,
        good=after.good.release if after.good else None,
        running=after.running.release if after.running else None,
        code=outcome.code or _code(taken, about),
        detail=outcome.detail[:MOST_DETAIL],
        figures=figures,
    )
    unique = secrets.token_hex(8)
    if about is not None and taken.event is Event.FAILED:
        unique = condemned(version, after.model, about.manifest, about.attempt)
    elif about is not None and taken.event in _SAME_AGAIN:
        parts = (version, after.model, about.manifest, about.attempt, taken.event)
        until = (outcome.waits.until_ms,) if outcome.waits else ()
        unique = "/".join(map(str, (*parts, outcome.code or "", *until)))
    return Said(id=unique, time_ms=time_ms, update=update)


def condemned(version: int, model: str, manifest: str, attempt: int) -> str:
    """Return the id of the report that a release failed: it does once under one document."""
    return f"{version}/{model}/{manifest}/{attempt}/failed"


def write_down(log: logging.Logger, after: Journal, event: Event, outcome: Outcome) -> None:
    """Log the step: as a warning where it has a reason code and does not merely wait."""
    candidate, good = after.candidate, after.good
    log.log(
        logging.WARNING if outcome.code and not outcome.waits else logging.INFO,
        "%s: %s, now %s; candidate %s, good %s%s",
        after.model,
        event,
        after.state,
        candidate.release if candidate else "none",
        good.release if good else "none",
        _why(outcome),
        extra=journal_log.about(
            after.model,
            release=after.said.update.release if after.said else None,
            code=outcome.code,
        ),
    )


def _why(outcome: Outcome) -> str:
    if outcome.event is Event.FETCHED and outcome.figures:
        return f"; {_came(outcome.figures)}"
    return (f": {outcome.detail}" if outcome.detail else "") + (
        f" [{outcome.code}]" if outcome.code else ""
    )


def _came(figures: Mapping[str, float]) -> str:
    """Return how many bytes it took, and which way the files came."""
    ways = [
        f"{round(figures[f'files_{way}'])} {words}"
        for way, words in (("patch", "by patch"), ("zstd", "as zstd"), ("plain", "plain"))
        if f"files_{way}" in figures
    ]
    said = f"{size(round(figures['bytes']))} came in {figures['seconds']:.3g} s"
    return f"{said}: files {', '.join(ways)}" if ways else f"{said}; all files were here"


def _code(taken: Step, about: Choice | None) -> str | None:
    """Return why a candidate that was cut short too often is in quarantine."""
    found = taken.journal.quarantine.get(about.manifest) if about else None
    return found.code if found is not None and taken.event is Event.FAILED else None
