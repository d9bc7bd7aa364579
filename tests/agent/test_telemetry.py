"""What serve measured, on its way to the console: merged, split, and counted once."""

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.errors import MalformedError, StorageError
from littoral.tree import Tree
from littoral.wire.board import BoardWindow, Spread
from littoral.wire.control import Timing, Window
from littoral.wire.message import MAX_BYTES
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Telemetry
from littoral_agent.control import Control
from littoral_agent.spool import Spool
from littoral_agent.telemetry import collect
from simulators.serve import ServeSimulator

BOARD = BoardWindow(samples=15, throttled=2, load=Spread(low=0.1, mean=0.5, high=1.2))


def timing(
    *values: float, model: str = "digits", release: int = 1, stage: str = "invoke"
) -> Timing:
    sketch = Sketch()
    for value in values:
        sketch.record(value)
    return Timing(
        model=model,
        release=release,
        variant="cpu",
        stage=stage,
        sketch=base64.b64encode(sketch.encode()).decode(),
    )


def window(n: int, *timings: Timing, errors: dict[str, int] | None = None) -> Window:
    return Window(
        sequence=n, start_ms=n * 1000, duration_ms=1000, errors=errors or {}, timings=timings
    )


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.make()
    return tree


@pytest.fixture
def serve(tree: Tree) -> Iterator[ServeSimulator]:
    with ServeSimulator(tree) as serve:
        yield serve


@pytest.fixture
def spool(tree: Tree) -> Iterator[Spool]:
    spool = Spool(tree.spool, device="pi-7", incarnation=1, cap_bytes=2**20)
    yield spool
    spool.close()


def taken(tree: Tree, spool: Spool, serve: ServeSimulator, window_s: float = 900) -> int:
    return collect(
        Control(tree.control), spool, instance=serve.instance, window_s=window_s
    ).messages


def sent(spool: Spool) -> list[Telemetry]:
    return [Telemetry.decode(m.body) for m in spool.messages({}, limit=999)]


def test_windows_are_merged_into_one_batch(tree: Tree, spool: Spool, serve: ServeSimulator) -> None:
    serve.windows = [
        window(1, timing(10, 20), errors={"digits/1": 1}),
        window(2, timing(30), timing(5, stage="queue"), errors={"digits/1": 2, "digits/2": 0}),
    ]
    assert taken(tree, spool, serve) == 1
    (batch,) = sent(spool)
    assert (batch.start_ms, batch.duration_ms, batch.errors) == (1000, 2000, {"digits/1": 3})
    assert [(s.stage, s.sketch.count) for s in batch.series] == [("invoke", 3), ("queue", 1)]


def test_what_was_taken_is_forgotten_by_serve_and_not_taken_again(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    serve.windows = [window(1, timing(10)), window(2, timing(20))]
    taken(tree, spool, serve)
    assert taken(tree, spool, serve) == 0
    assert serve.windows == []
    serve.windows = [window(3, timing(30))]
    assert taken(tree, spool, serve) == 1
    assert sum(s.sketch.count for batch in sent(spool) for s in batch.series) == 3


def test_a_kill_before_the_spool_has_it_loses_nothing(
    tree: Tree, spool: Spool, serve: ServeSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve.windows = [window(1, timing(10))]

    def full(*_: object, **__: object) -> bool:
        raise StorageError("full")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "add", full)
        with pytest.raises(StorageError):
            taken(tree, spool, serve)
    assert taken(tree, spool, serve) == 1


def test_another_serve_counts_from_one_again(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    serve.windows = [window(n, timing(10)) for n in (1, 2, 3)]
    taken(tree, spool, serve)
    serve.crash()
    serve.windows = [window(1, timing(20)), window(2, timing(30))]
    assert taken(tree, spool, serve) == 1
    assert sum(s.sketch.count for batch in sent(spool) for s in batch.series) == 5


def test_nothing_asked_is_nothing_said(tree: Tree, spool: Spool, serve: ServeSimulator) -> None:
    serve.windows = [window(1), window(2, timing())]
    assert taken(tree, spool, serve) == 0
    assert sent(spool) == []
    assert taken(tree, spool, serve) == 0
    assert serve.windows == [], "it is forgotten all the same"


def test_hours_without_an_agent_come_in_batches_of_their_own(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    serve.windows = [window(n, timing(n)) for n in range(1, 11)]
    assert taken(tree, spool, serve, window_s=3) == 4
    assert [(b.start_ms, b.duration_ms) for b in sent(spool)] == [
        (1000, 3000),
        (4000, 3000),
        (7000, 3000),
        (10000, 1000),
    ]


@pytest.mark.parametrize(("decades", "most"), [(0.1, 1), (6.0, 20)])
def test_many_series_are_split_so_that_each_message_may_travel(
    tree: Tree, spool: Spool, serve: ServeSimulator, decades: float, most: int
) -> None:
    """What is too large is acknowledged by nobody, and all after it waits for that."""
    wide = [10 ** (i * decades / 2000) for i in range(2000)]
    timings = [timing(*wide, model=f"model-{n}") for n in range(300)]
    serve.windows = [window(1, *timings, errors={"model-1/1": 2})]
    assert taken(tree, spool, serve) <= most
    assert sum(len(b.series) for b in sent(spool)) == 300
    assert [b.errors for b in sent(spool) if b.errors] == [{"model-1/1": 2}]
    assert max(len(m.body) for m in spool.messages({}, limit=99)) <= MAX_BYTES


def test_a_wrong_clock_is_set_right_before_the_console_sees_it(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    """A board that lives in 1970 was never seen in the last hour."""
    serve.windows = [window(1, timing(10)), window(2, timing(10))]
    years_s = 55 * 365 * 24 * 3600.0
    control = Control(tree.control)
    collect(control, spool, instance=serve.instance, window_s=900, ahead_s=-years_s)
    (batch,) = sent(spool)
    assert (batch.start_ms, batch.duration_ms) == (years_s * 1000 + 1000, 2000)


def test_the_board_rides_on_the_last_message_whose_window_then_ends_now(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    now_ms = round(time.time() * 1000)
    serve.windows = [
        replace(window(n, timing(10)), start_ms=now_ms - (20 - n) * 60_000) for n in range(1, 11)
    ]
    control = Control(tree.control)
    found = collect(control, spool, instance=serve.instance, window_s=300, board=BOARD)
    *others, last = sent(spool)
    assert found.messages == len(others) + 1 == 2
    assert [one.board for one in others] == [None]
    assert last.board == BoardWindow.decode(BOARD.encode())
    assert last.start_ms + last.duration_ms == pytest.approx(now_ms, abs=5000)


def test_the_board_is_told_though_nobody_asks_anything_and_serve_is_down(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    control = Control(tree.control)
    collect(control, spool, instance=serve.instance, window_s=900, board=BOARD)
    collect(control, spool, instance=None, window_s=900, ahead_s=-3600, board=BOARD)
    first, second = sent(spool)
    assert (first.series, first.duration_ms) == ((), 900_000)
    assert second.start_ms - first.start_ms == pytest.approx(3_600_000, abs=5000)


def test_how_fast_each_release_was_is_told_of_the_latest_batch(
    tree: Tree, spool: Spool, serve: ServeSimulator
) -> None:
    serve.windows = [window(1, timing(100)), window(9, timing(200, 200, 300), timing(1, model="b"))]
    control = Control(tree.control)
    found = collect(control, spool, instance=serve.instance, window_s=3).speeds
    assert [(s.model, s.count) for s in found] == [("b", 1), ("digits", 3)]
    assert found[1].p50_us == pytest.approx(200, rel=0.011)
    assert found[1].p95_us == pytest.approx(300, rel=0.011)


def test_errors_alone_are_worth_a_message(tree: Tree, spool: Spool, serve: ServeSimulator) -> None:
    serve.windows = [window(1, errors={"digits/1": 5})]
    assert taken(tree, spool, serve) == 1
    assert sent(spool)[0].errors == {"digits/1": 5}


def test_a_sketch_that_is_none_is_refused(tree: Tree, spool: Spool, serve: ServeSimulator) -> None:
    bad = Timing(model="digits", release=1, variant="cpu", stage="invoke", sketch="????")
    serve.windows = [window(1, bad)]
    with pytest.raises(MalformedError, match="a sketch of digits"):
        taken(tree, spool, serve)
