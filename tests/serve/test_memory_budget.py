"""Several models within a budget of memory: who goes, and how it comes back."""

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert")

from littoral.errors import BackendError, HashError
from littoral_serve.running import named
from littoral_serve.running.live import Resources
from littoral_serve.running.memory import Resident, Residents, Sleeper, to_unload
from littoral_serve.running.runners import Done, Outputs
from simulators.served import FIXTURES


def held(*used: int, size: int = 10, pinned: tuple[int, ...] = ()) -> list[Resident]:
    return [Resident(bytes=size, used_ns=at, pinned=k in pinned) for k, at in enumerate(used)]


def test_what_was_asked_longest_ago_goes_first_and_no_more_than_must() -> None:
    four = held(3, 1, 2, 4)
    assert to_unload(four, budget_bytes=40, keep=3) == []
    assert to_unload(four, budget_bytes=39, keep=3) == [1]
    assert to_unload(four, budget_bytes=20, keep=3) == [1, 2]


def test_what_is_pinned_or_just_asked_for_stays() -> None:
    assert to_unload(held(1, 2, 3), budget_bytes=10, keep=0) == [1, 2]
    assert to_unload(held(1, 2, 3, pinned=(1,)), budget_bytes=10, keep=0) == [2]
    assert to_unload(held(1, 2), budget_bytes=0, keep=1) == [0]


class Instant:
    """A runner that answers at once."""

    at_once = True
    width = 1

    def __init__(self, name: str) -> None:
        self._answer: Any = (name,)

    def run(self, _: Outputs, done: Done) -> None:
        done(self._answer, 1)

    async def weigh(self, _: Outputs) -> tuple[Outputs, int]:
        return self._answer, 7


class House:
    """Models of ten bytes each, and how often each was loaded."""

    def __init__(self, *names: str, budget: int, pinned: tuple[str, ...] = ()) -> None:
        self.loads: dict[str, int] = dict.fromkeys(names, 0)
        self.broken: set[str] = set()
        self.residents = Residents(budget_bytes=budget, pinned=pinned)
        self.models = {name: self._make(name) for name in names}

    def _make(self, name: str) -> Sleeper:
        def load() -> tuple[Any, int]:
            self.loads[name] += 1
            if name in self.broken:
                raise HashError(name, signed="a", found="b")
            return Instant(name), 10

        one = Sleeper(Instant(name), model=name, taken=10, load=load, residents=self.residents)
        self.residents.admit(one)
        return one

    @property
    def awake(self) -> set[str]:
        return {name for name, one in self.models.items() if one.awake}

    async def ask(self, name: str) -> Any:
        answer: asyncio.Future[Any] = asyncio.Future()
        self.models[name].run((), lambda made, _: answer.set_result(made))
        return await answer


def on_loop(story: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def test_a_request_for_what_sleeps_is_answered_and_another_goes() -> None:
    async def story() -> None:
        house = House("a", "b", "c", budget=20)
        assert house.awake == {"b", "c"}
        assert await house.ask("b") == ("b",)
        assert await house.ask("a") == ("a",)
        assert house.awake == {"a", "b"}
        assert house.loads == {"a": 1, "b": 0, "c": 0}

    on_loop(story)


def test_those_who_ask_while_it_is_loaded_wait_for_one_load() -> None:
    async def story() -> None:
        house = House("a", "b", budget=10)
        assert not house.models["a"].at_once
        answers = await asyncio.gather(*(house.ask("a") for _ in range(5)))
        assert answers == [("a",)] * 5
        assert house.loads["a"] == 1
        assert house.models["a"].at_once

    on_loop(story)


def test_what_is_pinned_is_never_unloaded_and_a_request_never_refused_for_it() -> None:
    async def story() -> None:
        house = House("a", "b", budget=5, pinned=("a",))
        assert house.awake == {"a", "b"}
        for name in "baab":
            assert await house.ask(name) == (name,)
        assert house.loads == {"a": 0, "b": 0}

    on_loop(story)


def test_what_cannot_be_loaded_again_is_told_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        house = House("a", "b", budget=10)
        house.broken.add("a")
        with caplog.at_level(logging.ERROR):
            failed = await house.ask("a")
        assert isinstance(failed, BackendError)
        assert "a cannot be loaded again: a: expected sha256" in str(failed)
        assert "a cannot be loaded again" in caplog.text
        assert house.awake == {"b"}
        house.broken.clear()
        assert await house.ask("a") == ("a",)

    on_loop(story)


def test_what_is_weighed_is_woken_too() -> None:
    async def story() -> None:
        house = House("a", "b", budget=10)
        for _ in range(2):
            weighed: Any = await house.models["a"].weigh(())
            assert weighed == (("a",), 7)
        assert house.loads["a"] == 1
        house.models["a"].sleep()
        house.broken.add("a")
        with pytest.raises(BackendError, match="cannot be loaded again"):
            await house.models["a"].weigh(())

    on_loop(story)


def test_what_is_forgotten_no_longer_counts() -> None:
    async def story() -> None:
        house = House("a", "b", budget=20)
        house.residents.forget(house.models["a"])
        more = House("c", budget=20)
        more.models["c"]._residents = house.residents
        house.residents.admit(more.models["c"])
        assert house.awake == {"a", "b"}

    on_loop(story)


def test_what_sleeps_is_gone_from_memory() -> None:
    """Whatever still held the session would hold its memory, and unloading be in vain."""
    resources = Resources(residents=Residents(budget_bytes=1))
    live = named.load("digits", FIXTURES / "tiny_int8.tflite", resources=resources)
    sleeper = live.sleeper
    assert sleeper is not None
    session = weakref.ref(sleeper._runner._session)  # type: ignore[union-attr]
    assert session() is not None
    sleeper.sleep()
    assert session() is None
