"""What becomes of what was asked for: what devices say, in whatever order, and nothing else.

And when the console says that a probation ends: only devices know, and some have no clock.
"""

from typing import Any

import pytest

from littoral.wire.messages import Running
from littoral.wire.update import Update
from littoral_console.outcomes import goes_on_at
from simulators.console import ConsoleProcess, DeviceSimulator

NOW_MS = 1_767_268_800_000
HOUR_MS = 3_600_000


def until(time_ms: int = NOW_MS, *, state: str = "probation", **figures: float) -> int | None:
    said = Update(model="digits", event="passed", state=state, release=2, figures=figures)
    return goes_on_at(said, time_ms=time_ms, now_ms=NOW_MS)


def test_it_counts_from_when_the_device_said_so() -> None:
    assert until(probation_left_s=300.0) == NOW_MS + 300_000
    assert until(NOW_MS - HOUR_MS, probation_left_s=300.0) == NOW_MS - HOUR_MS + 300_000


def test_a_clock_that_cannot_be_right_does_not_count() -> None:
    assert until(1_000, probation_left_s=300.0) == NOW_MS + 300_000
    assert until(NOW_MS + HOUR_MS, probation_left_s=300.0) == NOW_MS + 300_000


@pytest.mark.parametrize("left_s", [-1.0, float("nan"), float("inf"), 1e300])
def test_nonsense_is_no_time(left_s: float) -> None:
    assert until(probation_left_s=left_s) is None


def test_what_waits_goes_on_when_the_device_says() -> None:
    figures = {"waits_left_s": 3600.0}
    said = Update(model="digits", event="postponed", state="fetching", release=2, figures=figures)
    assert goes_on_at(said, time_ms=NOW_MS, now_ms=NOW_MS) == NOW_MS + HOUR_MS
    assert until(state="fetching", waits_left_s=3600.0) is None, "nothing waits any more"


def test_who_does_not_say_it_is_not_guessed_for() -> None:
    assert until() is None
    assert until(state="testing", probation_left_s=300.0) is None


def steady(device: DeviceSimulator, good: int | None, **more: Any) -> None:
    """Let the device say that it is at rest with ``good``."""
    runs = Running(model="digits", state="idle", release=good, good=good)
    device.post(status=device.status(runs, **more))


def proven(console: ConsoleProcess, name: str, release: int = 2) -> tuple[DeviceSimulator, int]:
    """Return a device that reported that it has proven ``release``, and the rollout."""
    device = DeviceSimulator(console, name)
    number = console.push(f"digits:{release}", to=name)
    device.post(device.report("healthy", release=release, good=release, running=release))
    assert console.outcome(number, name)["outcome"] == "healthy"
    return device, number


def counted(console: ConsoleProcess, rollout: int) -> dict[str, int]:
    found: dict[str, int] = console.rest.get(f"rollouts/{rollout}")["rollout"]["outcomes"]
    return found


def test_a_device_that_fell_back_has_not_passed_any_more(console: ConsoleProcess) -> None:
    device, number = proven(console, "fell")
    steady(device, 1, spool={device.stream: 2})
    found = console.outcome(number, "fell")
    assert (found["outcome"], found["code"], found["step"]) == ("failed", "fell-back", "fell-back")
    assert "nobody ordered another: release 1" in found["detail"]
    assert counted(console, number) == {"failed": 1}
    steady(device, 1, spool={device.stream: 2})
    assert console.outcome(number, "fell") == found, "since then, and not since it was said again"
    steady(device, 2, spool={device.stream: 2})
    assert counted(console, number) == {"healthy": 1}, "it says that it has proven it after all"


def test_a_report_that_another_release_is_good_says_so_with_its_reason(
    console: ConsoleProcess,
) -> None:
    device, number = proven(console, "told")
    # As its event stands a state: any that ends at rest.
    device.post(device.report("idle", release=1, good=1, running=1, detail="the journal was lost"))
    found = console.outcome(number, "told")
    assert (found["outcome"], found["code"]) == ("failed", "fell-back")
    assert found["detail"].endswith("; the journal was lost")
    device.post(device.report("desired", release=2, good=1))
    assert counted(console, number) == {"pending": 1}, "it does it anew"
    device.post(device.report("healthy", release=2, good=2))
    assert counted(console, number) == {"healthy": 1}


def test_what_is_proven_anew_is_under_way(console: ConsoleProcess) -> None:
    """A restored card: its first reports are those of the first time, and count once."""
    device, number = proven(console, "redone")
    runs = Running(model="digits", state="fetching", release=1, good=1, candidate=2)
    device.post(status=device.status(runs, spool={device.stream: 1}))
    assert counted(console, number) == {"healthy": 1}, "of before, as far as the console knows"
    device.post(status=device.status(runs, spool={device.stream: 2}))
    assert counted(console, number) == {"pending": 1}
    steady(device, 2, spool={device.stream: 2})
    assert counted(console, number) == {"healthy": 1}


def test_what_fell_back_is_asked_for_again_under_a_greater_attempt(console: ConsoleProcess) -> None:
    device, number = proven(console, "anew")
    steady(device, 1, spool={device.stream: 2})
    again = console.push("digits:2", to="anew")
    assert console.outcome(again, "anew")["attempt"] == 1
    assert console.outcome(again, "anew")["outcome"] == "pending"
    assert counted(console, number) == {"failed": 1}, "what became of the earlier one stays"


def test_a_status_of_before_a_report_changes_nothing(console: ConsoleProcess) -> None:
    """It was said before the device heard that the report is there."""
    device, number = proven(console, "late")
    steady(device, 1, spool={device.stream: 1})
    assert counted(console, number) == {"healthy": 1}


def test_reports_of_before_a_status_change_nothing_for_good(console: ConsoleProcess) -> None:
    """A device that was away says at once what it runs; what led there comes after."""
    device = DeviceSimulator(console, "away")
    console.push("digits:1", to="away")
    number = console.push("digits:2", to="away")
    steady(device, 2, spool={device.stream: 1})
    assert counted(console, number) == {"healthy": 1}
    device.post(device.report("healthy", release=1, good=1))
    assert counted(console, number) == {"healthy": 1}, "that was before"
    for event in ("desired", "fetched", "passed"):
        device.post(device.report(event, release=2, good=1))
    device.post(device.report("healthy", release=2, good=2))
    assert counted(console, number) == {"healthy": 1}


def test_silence_and_a_serve_that_is_down_take_nothing_back(console: ConsoleProcess) -> None:
    device, number = proven(console, "silent")
    spool = {device.stream: 2}
    runs = Running(model="digits", state="idle", release=None, good=2)
    device.post(status=device.status(runs, spool=spool))
    device.post(status=device.status(spool=spool, online=False))
    device.post(status=device.status(spool=spool))  # no word of the model
    assert counted(console, number) == {"healthy": 1}


def test_what_is_proven_and_refused_anew_is_proven(console: ConsoleProcess) -> None:
    device, number = proven(console, "lapsed")
    device.post(device.report("refused", release=2, good=2, code="expired"))
    found = console.outcome(number, "lapsed")
    assert (found["outcome"], found["code"]) == ("healthy", None)
    assert console.rest.get("history", device="lapsed")[0]["code"] == "expired"
