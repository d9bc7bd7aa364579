"""The pages of a rollout of which some devices wait for their time."""

import re
import time
from datetime import UTC, datetime

import pytest
import requests

from console.coast import BOARDS, PASSWORD, USER, Coast
from littoral.wire.messages import Running, Status, Unreached
from littoral.wire.update import Update

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def rollout(coast: Coast) -> int:
    """Ask for a release that two boards take when their window opens in an hour."""
    now_ms = round(time.time() * 1000)
    number = coast.push("keywords:2", to="site=harbour", at_ms=now_ms)
    for board in BOARDS[:2]:
        report = Update(
            model="keywords",
            event="postponed",
            state="fetching",
            release=2,
            good=1,
            running=1,
            code="window",
            detail="no maintenance window is open; the next one opens in an hour",
            figures={"waits_left_s": 3600.0},
        )
        coast.report(board, report, at_ms=now_ms)
        model = Running(
            model="keywords",
            state="fetching",
            release=1,
            good=1,
            candidate=2,
            waits="window",
            waits_until_ms=now_ms + HOUR_MS,
        )
        status = Status(device=board.id, incarnation=1, online=True, models=(model,), serving=True)
        coast.hear(board, status, at_ms=now_ms)
    return number


@pytest.fixture(scope="module")
def session(url: str) -> requests.Session:
    found = requests.Session()
    found.headers.update({"Accept": "text/html"})
    done = found.post(
        f"{url}/login",
        data={"username": USER, "password": PASSWORD},
        timeout=10,
        allow_redirects=False,
    )
    assert done.status_code == 303
    return found


def shown(session: requests.Session, where: str) -> str:
    text = session.get(where, timeout=10).text
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_a_rollout_says_how_many_wait_and_until_when_and_counts_them_as_pending(
    session: requests.Session, url: str, rollout: int
) -> None:
    page = shown(session, f"{url}/rollouts/{rollout}")
    at = datetime.fromtimestamp(time.time() + 3600, UTC)
    assert re.search(r"2 wait for their window until (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC", page), at
    assert len(re.findall(r"waits for its window until [\d: -]*UTC", page)) == 2
    assert "Waits for its window" in page, "the reason, in words"
    assert "2 pending" in page.lower() or "2 under way" in page.lower()
    assert "failed" not in page.lower()


def test_a_device_says_for_what_its_candidate_waits(
    session: requests.Session, url: str, rollout: int
) -> None:
    assert rollout
    page = shown(session, f"{url}/devices/{BOARDS[0].id}")
    assert re.search(r"fetching r2 waits for its window until [\d: -]*UTC", page)


def test_a_device_that_gets_no_releases_says_why_and_one_that_does_how_far(
    session: requests.Session, url: str, coast: Coast
) -> None:
    cut_off, halfway = BOARDS[2], BOARDS[3]
    now_ms = round(time.time() * 1000)
    why = Unreached(code="unreachable", detail="nobody answers there", since_ms=now_ms - HOUR_MS)
    status = Status(device=cut_off.id, incarnation=1, online=True, unreached=why)
    coast.hear(cut_off, status, at_ms=now_ms)
    page = shown(session, f"{url}/devices/{cut_off.id}")
    assert "gets no releases since" in page
    assert "nobody answers there" in page
    assert f"{cut_off.id} gets no releases, and tries on: unreachable" in shown(session, url)
    assert cut_off.id in shown(session, f"{url}/devices?state=unreached")
    assert halfway.id not in shown(session, f"{url}/devices?state=unreached")
    model = Running(model="keywords", state="fetching", done_bytes=31_000, total_bytes=62_000)
    status = Status(device=halfway.id, incarnation=1, online=True, models=(model,))
    coast.hear(halfway, status, at_ms=now_ms)
    assert "31 kB of 62 kB" in shown(session, f"{url}/devices/{halfway.id}")
