"""RUN and STOP: what serve is told, from what the journal says and what runs already."""

from dataclasses import replace

import pytest

from littoral.wire.journal import Journal, Quarantine, State
from littoral_agent.control import OrderDeniedError, ServeDownError
from littoral_agent.deeds import running
from littoral_agent.deeds.means import Means
from littoral_agent.halting import Halt
from littoral_agent.update import Event
from simulators.device import Device
from simulators.serve import DeniedOrderError


@pytest.fixture
def means(device: Device) -> Means:
    device.serve.calls.clear()
    return device.life._means


def held(device: Device) -> Journal:
    return device.life.journals["digits"]


def told(device: Device) -> list[str]:
    return [call for call in device.serve.calls if call != "state"]


def test_what_runs_already_is_not_ordered_again(device: Device, means: Means) -> None:
    assert running.do(means, held(device), Halt()) is None
    assert told(device) == []


def test_serve_that_lost_it_is_told_again(device: Device, means: Means) -> None:
    means.control.deactivate("digits")
    device.serve.calls.clear()
    assert running.do(means, held(device), Halt()) is None
    assert (told(device), device.serve.running) == (["activate"], {"digits": 1})


def test_what_a_younger_journal_does_not_know_goes_on(device: Device, means: Means) -> None:
    assert running.do(means, Journal(model="digits"), Halt()) is None
    assert device.serve.running == {"digits": 1}


def test_what_shall_not_run_or_is_in_quarantine_stops(device: Device, means: Means) -> None:
    good = held(device).good
    assert good is not None
    bad = {good.manifest: Quarantine(code="crash", attempt=0)}
    for journal in (
        Journal(model="digits", stopped=True),
        Journal(model="digits", quarantine=bad),
    ):
        assert running.do(means, journal, Halt()) is None
        assert device.serve.running == {}
        running.do(means, held(device), Halt())
    running.stop(means, Journal(model="digits"))
    assert device.serve.running == {}
    running.stop(means, Journal(model="digits"))


def test_a_candidate_that_cannot_be_loaded_is_judged_and_what_is_good_is_tried_again(
    device: Device, means: Means
) -> None:
    good = held(device).good
    assert good is not None
    means.control.deactivate("digits")
    device.serve.denied[good.manifest] = DeniedOrderError("crash", "it ended")
    on_probation = replace(held(device), state=State.PROBATION, candidate=good)
    found = running.do(means, on_probation, Halt())
    assert found is not None
    assert (found.event, found.code) == (Event.FAILED, "crash")
    with pytest.raises(OrderDeniedError):
        running.do(means, held(device), Halt())


def test_a_serve_that_is_away_is_no_verdict(device: Device, means: Means) -> None:
    device.serve.stop()
    with pytest.raises(ServeDownError):
        running.do(means, held(device), Halt())
    device.serve.start()
