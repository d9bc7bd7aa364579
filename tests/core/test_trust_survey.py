"""Who signs what and when it ends. Whether it holds is tested in test_trust_repository.py."""

from datetime import timedelta
from pathlib import Path

import pytest

from littoral.trust import survey
from littoral.trust.survey import urgency
from simulators.people import NOW, People

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("what", "left", "found"),
    [
        ("root", 120 * DAY, "fine"),
        ("root", 119 * DAY, "soon"),
        ("targets", 60 * DAY, "fine"),
        ("digits", 59 * DAY, "soon"),
        ("timestamp", 13 * DAY, "fine"),  # the console signed it yesterday
        ("timestamp", 8 * DAY, "soon"),  # and not for six days
        ("snapshot", timedelta(seconds=1), "soon"),
        ("snapshot", timedelta(0), "over"),
        ("device CA", -DAY, "over"),
    ],
)
def test_what_ends_is_said_before_it_does(what: str, left: timedelta, found: str) -> None:
    assert urgency(what, left) == found


def test_a_status_says_who_holds_the_keys_and_what_ends_when(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.found()
    people.renew()
    rows = {row.role: row for row in survey.status(people.repo, now=NOW)}
    assert sorted(owner.split()[0] for owner in rows["root"].owners) == ["anna", "bert", "carl"]
    assert {row.urgency for row in rows.values()} == {"fine"}
    late = {row.role: row for row in survey.status(people.repo, now=NOW + 320 * DAY)}
    assert {role: row.urgency for role, row in late.items()} == {
        "root": "fine",
        "targets": "soon",
        "snapshot": "over",
        "timestamp": "over",
    }
