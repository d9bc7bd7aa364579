"""What keeps releases away is told when it lasts, once, and taken back at once."""

import pytest

from littoral.errors import LittoralError, SlowError, UnreachableError
from littoral_agent.agenda import FartherError
from littoral_agent.lasting import LONG_S, Lasting
from simulators.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lasting(clock: Clock) -> Lasting:
    return Lasting(lambda: int(clock.now * 1000), clock=clock)


AWAY = UnreachableError("nobody answers")


def test_a_flap_is_told_to_nobody(lasting: Lasting, clock: Clock) -> None:
    for why in (AWAY, AWAY, None, AWAY):
        assert not lasting.see(why)
        clock.now += LONG_S * 0.6
    assert lasting.told is None


def test_what_lasts_is_told_with_its_beginning_and_taken_back(
    lasting: Lasting, clock: Clock
) -> None:
    lasting.see(AWAY)
    clock.now += LONG_S
    assert lasting.see(UnreachableError("cut off after 7 bytes"))
    told = lasting.told
    assert told is not None
    assert (told.code, told.detail) == ("unreachable", "cut off after 7 bytes")
    assert told.since_ms == 1_000_000
    assert not lasting.see(UnreachableError("cut off after 9 bytes")), "the same in other words"
    assert lasting.see(SlowError("3 bytes a second")), "another reason"
    assert lasting.told is not None
    assert (lasting.told.code, lasting.told.since_ms) == ("slow", 1_000_000)
    assert lasting.see(None)
    assert lasting.told is None


def test_who_gets_farther_is_on_its_way(lasting: Lasting, clock: Clock) -> None:
    whys: list[LittoralError] = [AWAY, FartherError("cut off"), AWAY]
    for why in whys:
        assert not lasting.see(why)
        clock.now += LONG_S * 0.9
