"""Pictures on their way: bounds, deadlines, clients that leave, models that fail."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model.backends import Array, open_session
from littoral.model.tasks import pictures as entering
from littoral.model.tasks.labels import Labels
from littoral_serve.running import lane
from littoral_serve.running.live import Live
from littoral_serve.running.pictures import Bounds, Look, Pictures
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    LeftError,
    OverloadedError,
)
from littoral_serve.running.runners import InThread
from littoral_serve.running.sights import Wish
from simulators import detectors
from simulators.loaded import loaded

FILE = detectors.picture()


class Session:
    """A model of two classes whose scores are as told."""

    inputs = (Tensor(name="image", shape=(1, 8, 8, 3), dtype="float32"),)
    outputs = (Tensor(name="scores", shape=(1, 2), dtype="float32"),)

    def __init__(self, *scores: float, fails: bool = False) -> None:
        self.scores, self.fails = np.array([scores], np.float32), fails

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        assert inputs[0].shape == (1, 8, 8, 3)
        if self.fails:
            raise BackendError("the model failed")
        return (self.scores,)


class Asker:
    """Asks on a loop, and waits for the answers."""

    def __init__(self, pictures: Pictures, one: Live) -> None:
        self.pictures, self.live = pictures, one

    def ask(self, *files: bytes, within_s: float = 30.0, **said: Any) -> asyncio.Future[Look]:
        done: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        now = time.perf_counter_ns()
        look = Look(
            self.live,
            files or (FILE,),
            then=done.set_result,
            arrived_ns=now,
            deadline_ns=now + int(within_s * 1e9),
            **said,
        )
        self.pictures.submit(look)
        self.last = look
        return done


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def test_an_answer_is_read_by_the_task_with_the_labels() -> None:
    one = loaded(Session(0.2, 0.7), task="classification", labels=Labels(("cat", "dog")))

    async def story() -> None:
        asker = Asker(Pictures(), one)
        found = (await asker.ask(FILE, FILE)).columns()
        assert found["classes"].tolist() == [[b"dog", b"cat"]] * 2
        assert found["scores"].dtype == np.float32
        found = (await asker.ask(wish=Wish(most=1))).columns()
        assert found["classes"].tolist() == [[b"dog"]]
        assert one.meter.requests == 2

    run(story)


@pytest.mark.parametrize("queued", [1, 0], ids=["answered", "refused"])
def test_what_was_answered_keeps_nothing_until_a_collection(queued: int) -> None:
    """A picture's arrays are megabytes: of sixty requests at once 300 MiB were left."""
    session = Session(0.2, 0.7)
    one = loaded(session, InThread(session), bounds=lane.Bounds(requests=queued))

    async def story() -> None:
        done, now = asyncio.Event(), time.perf_counter_ns()
        end = partial(lambda done, _: done.set(), done)
        look = Look(one, (FILE,), then=end, arrived_ns=now, deadline_ns=now + 30 * 10**9)
        Pictures().submit(look)
        await done.wait()
        if not queued:
            assert isinstance(look._error, OverloadedError)
            assert look._error.__traceback__ is None
        held = weakref.ref(look)
        del look
        await asyncio.sleep(0.05)  # what the thread and the loop still have in hand
        assert held() is None

    gc.disable()
    try:
        run(story)
    finally:
        gc.enable()


def test_more_requests_than_may_wait_are_refused() -> None:
    gate, first = threading.Event(), threading.Event()
    real = entering.enter

    def slow(*args: Any, **said: Any) -> Any:
        first.set()
        assert gate.wait(30)
        return real(*args, **said)

    async def story() -> None:
        asker = Asker(Pictures(Bounds(requests=2)), loaded(Session(1, 0)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(entering, "enter", slow)
            waiting = [asker.ask(), asker.ask()]
            await asyncio.to_thread(first.wait)
            with pytest.raises(OverloadedError, match="2 requests wait"):
                asker.ask()
            gate.set()
            for look in await asyncio.gather(*waiting):
                look.columns()
            (await asker.ask()).columns()

    run(story)


def test_what_waited_too_long_is_not_decoded() -> None:
    async def story() -> None:
        look = await Asker(Pictures(), loaded(Session(1, 0))).ask(b"no picture", within_s=0)
        with pytest.raises(LateError):
            look.columns()

    run(story)


def test_nobody_decodes_for_a_client_that_left() -> None:
    async def story() -> None:
        asker = Asker(Pictures(), loaded(Session(1, 0)))
        done = asker.ask(b"no picture")
        asker.last.leave()
        with pytest.raises((LeftError, InvalidArgumentError)):
            (await done).columns()

    run(story)


def test_a_client_that_leaves_takes_its_request_from_the_queue() -> None:
    gate = threading.Event()

    class Slow(Session):
        runs = 0

        def run(self, *inputs: Array) -> tuple[Array, ...]:
            assert gate.wait(30)
            Slow.runs += 1
            return super().run(*inputs)

    async def story() -> None:
        session = Slow(1, 0)
        asker = Asker(Pictures(), loaded(session, InThread(session)))
        first = asker.ask()
        second = asker.ask()
        left = asker.last
        while left.inference is None:  # noqa: ASYNC110 (nobody tells when it is queued)
            await asyncio.sleep(0)
        left.leave()
        gate.set()
        (await first).columns()
        with pytest.raises(LeftError):
            (await second).columns()
        assert Slow.runs == 1

    run(story)


def test_a_failure_of_the_model_is_not_the_clients() -> None:
    async def story() -> None:
        look = await Asker(Pictures(), loaded(Session(1, 0, fails=True))).ask()
        with pytest.raises(BackendError, match="the model failed"):
            look.columns()

    run(story)


def test_outputs_that_cannot_be_the_tasks_are_the_models_failure() -> None:
    class Odd(Session):
        outputs = (Tensor(name="mask", shape=(1, 8, 8), dtype="int64"),)

        def run(self, *inputs: Array) -> tuple[Array, ...]:
            return (np.full((len(inputs), 8, 8), 999),)

    async def story() -> None:
        look = await Asker(Pictures(), loaded(Odd())).ask()
        with pytest.raises(BackendError, match="a class of 0 to 255"):
            look.columns()

    run(story)


def test_many_pictures_at_once_are_bounded_by_what_they_take() -> None:
    async def story() -> None:
        asker = Asker(Pictures(Bounds(bytes=3 * 8 * 8 * 3 * 4)), loaded(Session(1, 0)))
        (await asker.ask(FILE, FILE, FILE)).columns()
        with pytest.raises(InvalidArgumentError, match="expected 1 to 3 pictures at once, found 4"):
            asker.ask(FILE, FILE, FILE, FILE)

    run(story)


def test_a_release_that_cannot_take_pictures_says_why() -> None:
    class Wrong(Session):
        outputs = (Tensor(name="scores", shape=(2, 2), dtype="float32"),)

    for one, why in (
        (loaded(Wrong()), "do not share the input's batch"),
        (loaded(Session(1, 0), task="keypoints"), "keypoints: expected one output"),
    ):
        with pytest.raises(InvalidArgumentError, match=why):
            Pictures().sight(one)


def test_no_thread_runs_before_the_first_picture() -> None:
    before = threading.active_count()
    pictures = Pictures()
    pictures.sight(loaded(Session(1, 0)))
    assert threading.active_count() == before


def test_an_unquantized_integer_input_takes_pixels() -> None:
    """MoveNet's: uint8 without a scale, which a float array would not fit."""
    session = open_session("litert", detectors.finder())

    class Whole:
        inputs = (Tensor(name="image", shape=(1, 64, 64, 3), dtype="uint8"),)
        outputs = session.outputs

        def run(self, *inputs: Array) -> tuple[Array, ...]:
            assert inputs[0].dtype == np.uint8
            return session.run((inputs[0] / np.float32(255)).astype(np.float32))

    async def story() -> None:
        look = await Asker(Pictures(), loaded(Whole(), labels=Labels(detectors.LABELS))).ask()
        assert look.columns()["num_detections"].tolist() == [2]

    run(story)
