"""What ends is told in time: on the overview and in the log."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from console.coast import PASSWORD, USER, settle
from console.listening import listening
from littoral.errors import BundleError
from littoral.trust import writer
from littoral_console.alarms import Alarm, alarms
from littoral_console.app import people_app
from littoral_console.context import Context
from littoral_console.endings import Ending
from littoral_console.options import Options
from littoral_console.server import open_context
from littoral_console.upkeep import once
from simulators.repository import RepositorySimulator

DAY = timedelta(days=1)
NOW = datetime(2027, 6, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


@dataclass
class Later:
    """A clock that the test sets forward."""

    passed: timedelta = timedelta(0)

    def __call__(self) -> int:
        return int((datetime.now(UTC) + self.passed).timestamp() * 1000)


@pytest.fixture
def publisher(tmp_path: Path) -> RepositorySimulator:
    return RepositorySimulator(tmp_path)


@pytest.fixture
def context(publisher: RepositorySimulator, tmp_path: Path) -> Iterator[Context]:
    shutil.copytree(publisher.online, tmp_path / "data" / "keys")
    found = open_context(Options(data=tmp_path / "data"))
    shutil.copytree(publisher.folder, tmp_path / "data" / "repo", dirs_exist_ok=True)
    yield found
    found.database.close()


def after(context: Context, passed: timedelta) -> dict[str, str]:
    """Return how urgent everything is, once ``passed`` and upkeep did what it does."""
    later = Later(passed)
    context.clock = later
    context.repository._clock = later
    with contextlib.suppress(BundleError):  # of a root that is none: upkeep says it in the log
        asyncio.run(once(context))
    return {one.what: one.urgency for one in context.endings}


def alarmed(endings: Iterable[Ending], *, now_ms: int) -> tuple[Alarm, ...]:
    return alarms([], endings=endings, claims=0, now_ms=now_ms)


def test_nothing_is_urgent_in_a_new_fleet(context: Context) -> None:
    assert after(context, timedelta(0)) == {
        **dict.fromkeys(("root", "targets", "snapshot", "timestamp"), "fine"),
        **dict.fromkeys(("device CA", "device CA, online", "console CA"), "fine"),
    }
    assert alarmed(context.endings, now_ms=context.clock()) == ()


def test_what_people_sign_is_told_in_time_and_what_the_console_signs_is_signed(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    found = after(context, 320 * DAY)
    assert (found["targets"], found["timestamp"], found["root"]) == ("soon", "fine", "fine")
    (alarm,) = alarmed(context.endings, now_ms=context.clock())
    assert (alarm.text, alarm.tone) == ("targets ends in 44 days: sign anew in time", "busy")
    asyncio.run(once(context))
    assert caplog.text.count("targets ends at") == 1
    assert after(context, 366 * DAY)["targets"] == "over"
    assert "targets ended at" in caplog.text
    (alarm,) = alarmed(context.endings, now_ms=context.clock())
    assert alarm.text.startswith("targets ended: devices go on")
    assert alarm.tone == "bad"


def test_an_extension_ends_the_alarm(context: Context, publisher: RepositorySimulator) -> None:
    assert after(context, 320 * DAY)["targets"] == "soon"
    writer.extend(publisher.folder, offline=publisher.offline, now=datetime.now(UTC) + 319 * DAY)
    shutil.copytree(publisher.folder, context.repository.folder, dirs_exist_ok=True)
    assert after(context, 320 * DAY)["targets"] == "fine"


def test_a_console_without_a_repository_has_its_authorities_alone(tmp_path: Path) -> None:
    publisher = RepositorySimulator(tmp_path)
    shutil.copytree(publisher.online, tmp_path / "data" / "keys")
    context = open_context(Options(data=tmp_path / "data"))
    assert set(after(context, timedelta(0))) == {"device CA", "device CA, online", "console CA"}
    context.database.close()


def test_a_forgery_hides_no_ending(context: Context) -> None:
    """Who broke in lays a root 2 that nobody signed: what is genuine is told."""
    metadata = context.repository.folder / "metadata"
    (metadata / "9.targets.json").write_bytes((metadata / "1.targets.json").read_bytes()[:-9])
    (metadata / "9.root.json").write_text("{}")
    assert after(context, 320 * DAY)["targets"] == "soon"


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(hours=3), "timestamp, snapshot ends within a day: look into the console's log"),
        (DAY, "timestamp, snapshot ends in 1 day: "),
    ],
)
def test_what_the_console_should_have_signed_is_its_own_fault(left: timedelta, said: str) -> None:
    found = [Ending(what=w, when=NOW + left, urgency="soon") for w in ("timestamp", "snapshot")]
    (alarm,) = alarmed(found, now_ms=NOW_MS)
    assert alarm.text.startswith(said)


def test_many_models_are_one_line() -> None:
    found = [Ending(what=f"m{n}", when=NOW + 20 * DAY, urgency="soon") for n in range(9)]
    (alarm,) = alarmed(found, now_ms=NOW_MS)
    assert alarm.text == "m0, m1, m2 and 6 more ends in 20 days: sign anew in time"


def test_the_overview_says_what_ends(tmp_path: Path) -> None:
    coast = settle(tmp_path)
    asyncio.run(once(coast.context))
    with listening(people_app(coast.context)) as url, requests.Session() as ada:
        ada.headers["Accept"] = "text/html"
        form = {"username": USER, "password": PASSWORD}
        ada.post(f"{url}/login", data=form, timeout=10).raise_for_status()
        assert "sign anew" not in ada.get(url, timeout=10).text
        when = datetime.now(UTC) + 30 * DAY + timedelta(hours=1)
        coast.context.endings = (Ending(what="targets", when=when, urgency="soon"),)
        assert "targets ends in 30 days: sign anew in time" in ada.get(url, timeout=10).text
    coast.context.database.close()
