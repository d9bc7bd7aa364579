"""What serve's no says of a candidate, and what waiting says of itself."""

from datetime import UTC, datetime, timedelta

import pytest

from littoral import errors
from littoral.wire.control import Failure
from littoral.wire.journal import Journal, Waits
from littoral_agent.control import OrderDeniedError
from littoral_agent.deeds.means import candidate, denied, died, postponed
from littoral_agent.update import Event

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("backend-missing", Event.REFUSED),  # another machine can run it
        ("disk-full", Event.REFUSED),
        ("unsupported-format", Event.REFUSED),
        ("outputs", Event.FAILED),  # its own fault, wherever it runs
        ("latency", Event.FAILED),
        ("crash", Event.FAILED),
        ("malformed", Event.FAILED),
        ("memory", Event.STUMBLED),  # it may pass
        ("deadline", Event.STUMBLED),
        ("something-new", Event.STUMBLED),  # of a newer serve: three tries
    ],
)
def test_what_is_nobodys_fault_is_tried_again_and_blames_nobody(code: str, event: Event) -> None:
    found = denied(OrderDeniedError(Failure(code=code, error="no")))
    assert (found.event, found.code, "no" in found.detail) == (event, code, True)


def test_each_code_above_is_one_of_ours() -> None:
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LittoralError)
    }
    assert {"backend-missing", "disk-full", "outputs", "crash", "memory", "deadline"} <= codes


def test_a_serve_that_ended_may_have_done_so_by_itself() -> None:
    assert (died("here").event, died("here").code) == (Event.STUMBLED, "crash")


def test_what_waits_is_looked_at_each_minute_and_says_until_when() -> None:
    until = NOW + timedelta(hours=2)
    found = postponed(errors.ClosedError("closed", until=until), now=NOW)
    assert found.waits == Waits(code="window", until_ms=int(until.timestamp() * 1000))
    assert (found.figures, found.after_s) == ({"waits_left_s": 7200.0}, 60.0)
    soon = postponed(errors.SpentError("spent", until=NOW + timedelta(seconds=5)), now=NOW)
    assert soon.after_s == 5.0
    late = postponed(errors.SpentError("spent", until=NOW - timedelta(days=1)), now=NOW)
    assert (late.after_s, late.figures) == (0.0, {"waits_left_s": 0.0})


def test_what_nobody_can_tell_the_end_of_says_none() -> None:
    found = postponed(errors.MeteredError("metered", until=None), now=NOW)
    assert (found.waits, found.figures, found.after_s) == (Waits(code="metered"), {}, 30.0)


def test_there_is_no_deed_for_no_candidate() -> None:
    with pytest.raises(ValueError, match="no candidate while idle"):
        candidate(Journal(model="digits"))
