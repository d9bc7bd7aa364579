"""Meters and windows."""

import base64
import json
import time
from typing import Any

import pytest

from littoral.wire.sketch import Sketch
from littoral.wire.stages import STAGES
from littoral_serve.running.timings import Meter, Timings


def meter(model: str = "digits", release: int = 1) -> Meter:
    return Meter(model, release=release, variant="cpu")


def work(one: Meter, *, us: int = 100) -> None:
    one.invoked(us * 1000)
    one.answered(queue=1000, preprocess=2000, postprocess=3000)


def fetched(timings: Timings, after: int = 0) -> Any:
    return json.loads(timings.above(after))


def sketches(window: Any) -> dict[str, Sketch]:
    return {t["stage"]: Sketch.decode(base64.b64decode(t["sketch"])) for t in window["timings"]}


def test_each_stage_is_counted_in_microseconds() -> None:
    timings, one = Timings(backlog_bytes=10_000), meter()
    timings.watch(one)
    work(one)
    timings.close_window([one])
    (window,) = fetched(timings)
    assert [t["stage"] for t in window["timings"]] == list(STAGES)
    for stage, us in zip(STAGES, (1, 2, 100, 3), strict=True):
        assert sketches(window)[stage].quantile(0.5) == pytest.approx(us, rel=0.011)


def test_a_window_without_events_leaves_no_trace_and_no_gap() -> None:
    timings, one = Timings(backlog_bytes=10_000), meter()
    timings.watch(one)
    timings.close_window([one])
    assert fetched(timings) == []
    work(one)
    timings.close_window([one])
    assert [w["sequence"] for w in fetched(timings)] == [1]


def test_what_was_switched_out_is_told_once_more() -> None:
    timings, old, new = Timings(backlog_bytes=10_000), meter(release=1), meter(release=2)
    timings.watch(old)
    work(old)
    timings.watch(new)
    work(new)
    work(old)  # a request that ended on the release it began on
    timings.close_window([new])
    (window,) = fetched(timings)
    counts = {
        t["release"]: Sketch.decode(base64.b64decode(t["sketch"])).count
        for t in window["timings"]
        if t["stage"] == "invoke"
    }
    assert counts == {1: 2, 2: 1}
    work(new)
    timings.close_window([new])
    assert {t["release"] for t in fetched(timings, 1)[0]["timings"]} == {2}
    assert timings._meters == [new]


def test_all_invokes_since_the_switch_outlive_the_window() -> None:
    timings, one = Timings(backlog_bytes=10_000), meter()
    timings.watch(one)
    for _ in range(3):
        work(one)
        timings.close_window([one])
    work(one)
    assert one.invoke().count == 4
    assert (one.requests, one.errors) == (4, 0)


def test_errors_are_counted_by_release() -> None:
    timings, one, two = Timings(backlog_bytes=10_000), meter(), meter("words", 7)
    for each in (one, two):
        timings.watch(each)
    one.failed()
    one.failed()
    two.failed()
    timings.close_window([one, two])
    assert fetched(timings)[0]["errors"] == {"digits/1": 2, "words/7": 1}
    work(one)
    timings.close_window([one, two])
    assert fetched(timings, 1)[0]["errors"] == {}
    assert one.errors == 2


def test_the_oldest_windows_go_when_nobody_fetches_them() -> None:
    timings, one = Timings(backlog_bytes=5_000), meter()
    timings.watch(one)
    for _ in range(100):
        work(one)
        timings.close_window([one])
    kept = [w["sequence"] for w in fetched(timings)]
    assert kept[-1] == 100
    assert 1 < len(kept) < 20
    assert kept == list(range(kept[0], 101))
    assert len(timings.above(0)) < 5_100


def test_fetching_forgets_what_was_fetched_before() -> None:
    timings, one = Timings(backlog_bytes=50_000), meter()
    timings.watch(one)
    for _ in range(4):
        work(one)
        timings.close_window([one])
    assert [w["sequence"] for w in fetched(timings, 2)] == [3, 4]
    assert [w["sequence"] for w in fetched(timings, 0)] == [3, 4]
    assert fetched(timings, 9) == []


def test_totals_go_on_over_the_windows() -> None:
    timings, one = Timings(backlog_bytes=10_000), meter()
    timings.watch(one)
    for us in (100, 200, 400):
        work(one, us=us)
        timings.close_window([one])
    work(one)
    assert [sketch.count for sketch in one.totals()] == [4] * len(STAGES)
    assert one.totals()[STAGES.index("invoke")].sum == pytest.approx(800)
    assert one.instances == one.requests == 4


def test_a_request_of_many_instances_counts_them() -> None:
    one = meter()
    before_ms = time.time_ns() // 1_000_000
    one.answered(queue=0, preprocess=0, postprocess=0, instances=300)
    assert (one.requests, one.instances) == (1, 300)
    assert one.last_ms >= before_ms


def test_a_clock_that_is_set_makes_no_window_last_for_years(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timings, one = Timings(backlog_bytes=10_000), meter()
    timings.watch(one)
    clock = time.time
    for years in (30, -30):
        monkeypatch.setattr(time, "time", lambda: clock() + years * 365 * 86400)  # noqa: B023
        work(one)
        timings.close_window([one])
    assert all(1 <= window["duration_ms"] < 60_000 for window in fetched(timings))
