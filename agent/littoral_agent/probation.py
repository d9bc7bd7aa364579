"""Whether a candidate on probation is healthy. Rules only: no serve, no clock, no disk.

Silence proves nothing: a model without traffic is judged by its golden vectors, on what
serves. What a client did wrong, and how long requests queued, do not count against it.
"""

import base64
from dataclasses import dataclass, replace
from typing import Final

from littoral.errors import (
    DeadlineError,
    LatencyError,
    MemoryBudgetError,
    ThrottledError,
    UnhealthyError,
)
from littoral.wire.control import Loaded, Tried
from littoral.wire.sketch import Sketch
from littoral_agent.settings import Settings
from littoral_agent.update import Event, Outcome

FEW_ERRORS: Final = 3  # up to two may be anything
# What may be nobody's fault: a busy board, a full memory. The third time it is the model's.
NOT_ITS_OWN: Final = frozenset({MemoryBudgetError.code, DeadlineError.code})
_SLOW: Final = frozenset({LatencyError.code, DeadlineError.code})
_GROWTH: Final = 30.0  # of the pauses between tries: what may pass is given minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of the candidate since it was switched in."""

    watched_s: float
    requests: int
    errors: int
    p95_us: float = 0.0  # of its invokes
    before_p95_us: float | None = None  # of the release before, if that had enough of them
    probe: Tried | None = None  # the last one
    rested: bool = True  # what cut it short before has had time to pass


def judge(seen: Seen, settings: Settings) -> Outcome | None:
    """Return what is known of the candidate, None while that is nothing."""
    enough = seen.requests >= settings.probation_requests
    figures = {
        "watched_s": round(seen.watched_s, 3),
        "requests": float(seen.requests),
        "errors": float(seen.errors),
    }
    if enough:
        figures["p95_us"] = round(seen.p95_us, 3)
    # (1) It still gives its golden outputs.
    if seen.probe is not None and seen.probe.code is not None:
        return verdict(seen.probe, figures)
    # (2) It answers.
    rate = seen.errors / max(seen.requests, 1)
    if seen.errors >= FEW_ERRORS and rate > settings.probation_error_rate:
        return Outcome(
            event=Event.FAILED,
            code=UnhealthyError.code,
            detail=f"{seen.errors} of {seen.requests} requests failed",
            figures=figures,
        )
    # (3) It is not much slower than the release before it.
    if enough and seen.rested and seen.before_p95_us is not None:
        most = seen.before_p95_us * settings.probation_p95_ratio + settings.probation_p95_slack_us
        if seen.p95_us > most:
            return Outcome(
                event=Event.FAILED,
                code=LatencyError.code,
                detail=f"p95 {seen.p95_us:.0f} µs; the release before had "
                f"{seen.before_p95_us:.0f} µs, and {most:.0f} µs is the most",
                figures=figures,
            )
    # (4) It did so for long enough, and was asked often enough or probed.
    long = seen.rested and seen.watched_s >= settings.probation_s
    if long and (enough or seen.probe is not None):
        return Outcome(event=Event.HEALTHY, figures=figures)
    return None


def verdict(tried: Tried, figures: dict[str, float] | None = None) -> Outcome:
    """Return what a self-test says of the candidate that it was made on."""
    measured = {
        name: value
        for name, value in (
            ("p95_cpu_us", tried.p95_cpu_us),
            ("peak_bytes", tried.peak_bytes),
            ("max_abs", tried.max_abs),
            ("top1", tried.top1),
        )
        if value is not None
    }
    if tried.code is None:
        event = Event.PASSED
    else:
        event = Event.STUMBLED if tried.code in NOT_ITS_OWN else Event.FAILED
    return Outcome(
        event=event, code=tried.code, detail=tried.detail, figures={**(figures or {}), **measured}
    )


def excused(outcome: Outcome, *, throttled: bool) -> Outcome:
    """Return ``outcome``; that it was slow on a ``throttled`` board is nobody's fault."""
    if not throttled or outcome.code not in _SLOW:
        return outcome
    detail = f"{outcome.detail}; heat or a weak supply slowed the board down"
    return replace(outcome, event=Event.STUMBLED, code=ThrottledError.code, detail=detail)


def pause_s(settings: Settings, tries: int) -> float:
    """Return how long what cut a candidate short ``tries`` times is given to pass."""
    if tries == 0:
        return 0.0
    return min(settings.retry_most_s, settings.retry_first_s * _GROWTH**tries)


def p95_us(loaded: Loaded, *, since: Loaded | None = None) -> float:
    """Return the p95 of the invokes of what serves, ``since`` it was so; 0 before the first."""
    invokes = _invokes(loaded)
    if since is not None:
        invokes = invokes.since(_invokes(since))
    return invokes.quantile(0.95)


def measured_p95_us(loaded: Loaded, settings: Settings) -> float | None:
    """Return the p95 that a successor is held against, None if there were too few invokes."""
    invokes = _invokes(loaded)
    return invokes.quantile(0.95) if invokes.count >= settings.probation_requests else None


def _invokes(loaded: Loaded) -> Sketch:
    return Sketch.decode(base64.b64decode(loaded.invoke))
