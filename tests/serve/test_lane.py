"""The queue before a release: its bounds, deadlines, turns, and how it fills batches."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral_serve.running.inference import Inference
from littoral_serve.running.lane import Bounds
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    LeftError,
    OverloadedError,
)
from littoral_serve.running.runners import Done, InThread, OnLoop, Outputs, Runner
from simulators.loaded import loaded


class Doubling:
    """A session that doubles; it waits where it is told to, and remembers its batches."""

    def __init__(self, batch: int, *, gate: threading.Event | None = None) -> None:
        spec = Tensor(name="x", shape=(batch, 2), dtype="float32")
        self.inputs = self.outputs = (spec,)
        self.gate, self.batches, self.fails = gate, list[list[float]](), False

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        if self.gate is not None:
            assert self.gate.wait(30)
        self.batches.append(inputs[0][:, 0].tolist())
        if self.fails:
            raise BackendError("the model failed")
        return (inputs[0] * 2,)


def _live(session: Doubling, runner: Runner, **bounds: int) -> Live:
    return loaded(session, runner, size=session.inputs[0].shape[0], bounds=Bounds(**bounds))


class Asked:
    """Requests to one release, and when each was answered."""

    def __init__(self, live: Live) -> None:
        self.live, self.order = live, list[int]()

    def ask(self, number: int, rows: int = 1, *, within_s: float = 30.0) -> Inference:
        now = time.perf_counter_ns()
        one = Inference(
            self.live,
            self.live.signatures["raw"],
            [np.full((rows, 2), number, np.float32)],
            then=lambda _: self.order.append(number),
            arrived_ns=now,
            start_ns=now,
            deadline_ns=now + int(within_s * 1e9),
        )
        self.live.lane.submit(one)
        return one

    async def answered(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.order) < count:  # noqa: ASYNC110 (what it waits for has no event)
                await asyncio.sleep(0.001)


def _run(test: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await test()

    asyncio.run(all_of_it())


def test_one_alone_is_run_at_once_on_the_loop() -> None:
    async def test() -> None:
        asked = Asked(_live(session := Doubling(1), OnLoop(session)))
        one = asked.ask(3)
        assert asked.order == [3]
        assert one.outputs()[0].tolist() == [[6.0, 6.0]]

    _run(test)


def test_a_long_one_and_a_short_one_take_turns() -> None:
    async def test() -> None:
        gate = threading.Event()
        session = Doubling(1, gate=gate)
        asked = Asked(_live(session, InThread(session)))
        long, short = asked.ask(1, rows=5), asked.ask(2)
        gate.set()
        await asked.answered(2)
        assert asked.order == [2, 1]
        assert session.batches[:3] == [[1.0], [2.0], [1.0]]
        assert long.outputs()[0].tolist() == [[2.0, 2.0]] * 5
        assert short.outputs()[0].tolist() == [[4.0, 4.0]]

    _run(test)


@pytest.mark.parametrize("kind", [OnLoop, InThread])
def test_a_batch_is_filled_from_several_and_each_gets_its_own(
    kind: Callable[[Doubling], Runner],
) -> None:
    async def test() -> None:
        session = Doubling(4)
        asked = Asked(_live(session, kind(session)))
        async with asked.live.lane.alone():  # so that all of them wait
            ones = [asked.ask(n, rows=rows) for n, rows in ((1, 1), (2, 2), (3, 3), (4, 1))]
        await asked.answered(4)
        assert session.batches == [[1.0, 2.0, 2.0, 3.0], [4.0, 3.0, 3.0, 0.0]]
        for one, (n, rows) in zip(ones, ((1, 1), (2, 2), (3, 3), (4, 1)), strict=True):
            assert one.outputs()[0].tolist() == [[2.0 * n, 2.0 * n]] * rows

    _run(test)


def test_beyond_the_bound_a_request_is_refused_at_once_and_the_others_are_run() -> None:
    async def test() -> None:
        gate = threading.Event()
        session = Doubling(1, gate=gate)
        asked = Asked(_live(session, InThread(session), requests=2))
        asked.ask(0)
        await asyncio.sleep(0)  # it is taken: two more may wait
        asked.ask(1)
        asked.ask(2)
        with pytest.raises(OverloadedError, match="m: 2 requests wait already"):
            asked.ask(3)
        gate.set()
        await asked.answered(3)
        assert asked.order == [0, 1, 2]
        asked.ask(4)
        await asked.answered(4)

    _run(test)


def test_bytes_are_bounded_too_but_one_request_may_always_wait() -> None:
    async def test() -> None:
        gate = threading.Event()
        session = Doubling(1, gate=gate)
        asked = Asked(_live(session, InThread(session), bytes=100))
        asked.ask(0)
        await asyncio.sleep(0)
        asked.ask(1, rows=20)  # 160 bytes, and alone
        with pytest.raises(OverloadedError):
            asked.ask(2)
        gate.set()
        await asked.answered(2)

    _run(test)


def test_who_waited_too_long_or_left_is_not_run() -> None:
    async def test() -> None:
        gate = threading.Event()
        session = Doubling(1, gate=gate)
        asked = Asked(_live(session, InThread(session)))
        asked.ask(0)
        await asyncio.sleep(0)
        late, gone, patient = asked.ask(1, within_s=0.0), asked.ask(2), asked.ask(3)
        gone.leave()
        gate.set()
        await asked.answered(4)
        assert session.batches == [[0.0], [3.0]]
        with pytest.raises(LateError, match="more than its deadline"):
            late.outputs()
        with pytest.raises(LeftError):
            gone.outputs()
        assert patient.outputs()

    _run(test)


def test_a_model_that_fails_fails_its_requests_and_not_the_lane() -> None:
    async def test() -> None:
        session = Doubling(1)
        asked = Asked(_live(session, InThread(session)))
        session.fails = True
        failed = asked.ask(1)
        await asked.answered(1)
        session.fails = False
        fine = asked.ask(2)
        await asked.answered(2)
        with pytest.raises(BackendError, match="the model failed"):
            failed.outputs()
        assert fine.outputs()
        assert (asked.live.meter.requests, asked.live.meter.errors) == (1, 1)

    _run(test)


@pytest.mark.parametrize("kind", [OnLoop, InThread])
def test_what_no_backend_foresaw_ends_one_request_and_not_the_lane(
    kind: Callable[[Doubling], Runner], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        session = Doubling(1)
        asked = Asked(_live(session, kind(session)))
        session.batches = None  # type: ignore[assignment] # an AttributeError in run()
        failed = asked.ask(1)
        await asked.answered(1)
        session.batches = []
        fine = asked.ask(2)
        await asked.answered(2)
        with pytest.raises(BackendError, match="AttributeError"):
            failed.outputs()
        assert fine.outputs()

    _run(test)
    assert "in no way that is known" in caplog.text


def test_who_is_alone_with_the_runner_keeps_the_others_waiting() -> None:
    async def test() -> None:
        session = Doubling(1)
        asked = Asked(_live(session, InThread(session)))
        async with asked.live.lane.alone() as runner:
            asked.ask(1)
            (output,), cpu_ns = await runner.weigh((np.ones((1, 2), np.float32),))
            assert output.tolist() == [[2.0, 2.0]]
            assert cpu_ns > 0
            assert asked.order == []
        await asked.answered(1)
        assert session.batches == [[1.0], [1.0]]

    _run(test)


def test_the_thread_ends_with_its_release() -> None:
    async def test() -> None:
        before = set(threading.enumerate())  # those of others may just be ending
        asked = Asked(_live(session := Doubling(1), InThread(session)))
        asked.ask(1)
        await asked.answered(1)
        (made,) = set(threading.enumerate()) - before
        del asked
        async with asyncio.timeout(30):
            while made.is_alive():  # noqa: ASYNC110 (a thread's end is no event)
                await asyncio.sleep(0.001)

    _run(test)


def test_shapes_are_checked_before_anything_waits() -> None:
    async def test() -> None:
        asked = Asked(_live(session := Doubling(1), OnLoop(session)))
        with pytest.raises(InvalidArgumentError, match="Expecting shape"):
            Inference(
                asked.live,
                asked.live.signatures["raw"],
                [np.zeros((1, 3), np.float32)],
                then=lambda _: None,
                arrived_ns=0,
                start_ns=0,
            )

    _run(test)


class Wide:
    """A runner of several at a time, which answers when it is told to."""

    at_once = False

    def __init__(self, width: int) -> None:
        self.width, self.running = width, list[Done]()

    def run(self, _: Outputs, done: Done) -> None:
        self.running.append(done)

    def answer(self) -> None:
        self.running.pop(0)((np.zeros((1, 2), np.float32),), 1)

    async def weigh(self, _: Outputs) -> tuple[Outputs, int]:
        raise NotImplementedError


def test_as_many_are_under_way_as_the_runner_takes_and_none_beside_one_alone() -> None:
    async def test() -> None:
        wide = Wide(2)
        asked = Asked(_live(Doubling(1), wide))
        for number in range(4):
            asked.ask(number)
        await asyncio.sleep(0)
        assert len(wide.running) == 2

        async def alone() -> int:
            async with asked.live.lane.alone():
                return len(wide.running)

        lonely = asyncio.create_task(alone())
        await asyncio.sleep(0)
        wide.answer()
        await asyncio.sleep(0)
        assert len(wide.running) == 1
        wide.answer()
        assert await lonely == 0
        await asyncio.sleep(0)
        assert len(wide.running) == 2
        wide.answer()
        wide.answer()
        assert sorted(asked.order) == [0, 1, 2, 3]

    _run(test)
