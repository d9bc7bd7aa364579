"""Which release answers, which is held beside it, and which takes memory."""

from typing import Any

import pytest

from littoral_serve.running import live
from littoral_serve.running.live import Live, Models
from littoral_serve.running.memory import Residents, Sleeper
from littoral_serve.running.runners import OnLoop
from simulators.loaded import Doubling, loaded

OLD, NEW = "a" * 64, "b" * 64


class Place:
    """Where a release runs that can be lost without it."""

    def __init__(self, twin: Live) -> None:
        self.twin, self.stands_in, self.begun = twin, True, 0

    def begin(self) -> None:
        self.begun += 1


def sleeping(residents: Residents, name: str = "m", **said: Any) -> Live:
    """Return a release of ten bytes, which can be unloaded."""
    session = Doubling()
    runner = OnLoop(session)
    one = Sleeper(runner, model=name, taken=10, load=lambda: (runner, 10), residents=residents)
    return loaded(session, one, model=name, **said)


def asleep(one: Live) -> bool:
    assert one.sleeper is not None
    return not one.sleeper.awake


def held(models: Models, *manifests: str) -> list[Live | None]:
    return [models.held("m", manifest=one, variant="v") for one in manifests]


def test_what_was_switched_in_last_answers_and_the_one_before_is_held() -> None:
    models = Models(keep_previous_free_bytes=0)
    assert (models.get("m"), models.running("m"), [*models]) == (None, None, [])
    old, new, newest = (loaded(Doubling(), manifest=one) for one in (OLD, NEW, "c" * 64))
    models.switch(old)
    models.switch(new)
    assert (models.get("m"), models.running("m"), [*models]) == (new, new, [new])
    assert held(models, OLD, NEW) == [old, new]
    assert models.held("m", manifest=OLD, variant="another") is None
    assert models.held("other", manifest=OLD, variant="v") is None
    models.switch(newest)
    assert held(models, OLD, NEW) == [None, new]


def test_where_memory_is_short_none_is_held() -> None:
    models = Models(keep_previous_free_bytes=2**62)
    for manifest in (OLD, NEW):
        models.switch(loaded(Doubling(), manifest=manifest))
    assert held(models, OLD) == [None]
    assert models.get("m") is not None


def test_where_memory_becomes_short_what_was_held_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Models(keep_previous_free_bytes=0)
    old, new, newest = (loaded(Doubling(), manifest=one) for one in (OLD, NEW, "c" * 64))
    models.switch(old)
    models.switch(new)
    monkeypatch.setattr(live, "_free_bytes", lambda: -1)
    models.switch(newest)
    assert held(models, OLD, NEW, "c" * 64) == [None, None, newest]


def test_what_is_removed_is_not_held_either() -> None:
    models = Models(keep_previous_free_bytes=0)
    for manifest in (OLD, NEW):
        models.switch(loaded(Doubling(), manifest=manifest))
    models.remove("m")
    assert (models.get("m"), [*models], held(models, OLD, NEW)) == (None, [], [None, None])
    models.remove("m")


def test_a_twin_answers_while_it_stands_in() -> None:
    twin = loaded(Doubling(), variant="twin")
    place = Place(twin)
    told = loaded(Doubling())
    one = Live(told.description, told.lane, place)  # type: ignore[arg-type]
    models = Models(keep_previous_free_bytes=0)
    models.switch(one)
    assert place.begun == 1
    assert (models.get("m"), models.running("m")) == (twin, one)
    assert one.meters == (one.meter, twin.meter)
    place.stands_in = False
    assert models.get("m") is one


def test_what_sleeps_is_none_to_go_back_to_but_answers() -> None:
    residents = Residents(budget_bytes=15)
    models = Models(keep_previous_free_bytes=0, residents=residents)
    old, new = (sleeping(residents, manifest=one) for one in (OLD, NEW))
    models.switch(old)
    models.switch(new)
    assert asleep(old)
    assert held(models, OLD, NEW) == [None, new]
    assert new.sleeper is not None
    new.sleeper.sleep()
    assert held(models, NEW) == [new]


def test_what_neither_answers_nor_is_held_takes_no_memory() -> None:
    residents = Residents(budget_bytes=15)
    models = Models(keep_previous_free_bytes=0, residents=residents)
    gone, other = sleeping(residents), sleeping(residents, "other")
    models.switch(gone)
    models.remove("m")
    models.switch(other)
    assert not asleep(gone), "it is none of those that could be unloaded"
    assert not asleep(other)


def test_what_comes_back_takes_memory_as_before() -> None:
    residents = Residents(budget_bytes=25)
    models = Models(keep_previous_free_bytes=0, residents=residents)
    first, second = (sleeping(residents, manifest=one) for one in (OLD, NEW))
    models.switch(first)
    models.switch(second)
    models.switch(first.again())
    assert not asleep(first)
    assert held(models, NEW) == [second]
    models.switch(sleeping(residents, "other"))
    assert asleep(first), "asked longest ago"
    assert not asleep(second)


def test_a_release_that_comes_back_counts_from_zero() -> None:
    one = loaded(Doubling())
    one.meter.failed()
    back = one.again()
    assert (back.meter.errors, one.meter.errors) == (0, 1)
    assert back.lane is one.lane
