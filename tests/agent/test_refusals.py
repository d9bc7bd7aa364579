"""Why what is wanted is not run, as it stands now."""

from littoral.wire.journal import Choice, Journal
from littoral_agent.refusals import Refused, still_refused

WHY = Refused(version=7, release=2, code="short-memory", detail="too large")


def journal(release: int) -> Journal:
    good = Choice(release=release, manifest="a" * 64, variant="cpu", hardware="cpu-x86_64")
    return Journal(model="digits", good=good)


def test_what_was_refused_counts_while_it_is_wanted_and_does_not_run() -> None:
    known = {"digits": WHY}
    assert still_refused(known, {}, version=7) == known
    assert still_refused(known, {"digits": journal(1)}, version=7) == known
    assert still_refused(known, {"digits": journal(1)}, version=8) == {}


def test_what_was_taken_on_since_is_refused_no_more() -> None:
    """It is looked at again under the same document: memory was free then."""
    assert still_refused({"digits": WHY}, {"digits": journal(2)}, version=7) == {}
