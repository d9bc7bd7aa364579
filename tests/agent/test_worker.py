"""One thread for all updates: what waits is not kept waiting, and nobody is forgotten."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from littoral.wire.journal import State
from littoral_agent.hands import Hands
from littoral_agent.worker import Worker
from patience import patient
from simulators.fleet import SETTINGS, Fleet
from simulators.repository import Fault


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    settings = SETTINGS.replace("probation_s = 0.3", "probation_s = 3.0")
    with Fleet(tmp_path, broker=False, settings=settings) as fleet:
        for release in (1, 2):
            fleet.repo.publish(fleet.repo.bundle("digits", release))
        fleet.repo.publish(fleet.repo.bundle("sounds", 1))
        fleet.enrol()
        yield fleet


def name_both(fleet: Fleet) -> None:
    """Let the director name both models."""
    fleet.version += 1
    both = [fleet.repo.assignment(model, 1) for model in ("digits", "sounds")]
    fleet.console.desire("pi-7", fleet.repo.director(*both, device="pi-7", version=fleet.version))


def test_a_newer_wish_ends_a_download_that_crawls(fleet: Fleet) -> None:
    fleet.repo.fault("blobs/*", Fault.SLOW, times=1)
    with fleet.agent():
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.journal("digits").state is State.FETCHING)
        fleet.wait(lambda: fleet.repo.sent)
        begun = time.monotonic()
        fleet.order("digits", 2)
        fleet.wait(lambda: fleet.serve.running == {"digits": 2})
        assert time.monotonic() - begun < patient(10)


def test_a_candidate_is_watched_while_another_model_arrives(fleet: Fleet) -> None:
    with fleet.agent():
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.journal("digits").state is State.PROBATION)
        fleet.repo.fault("blobs/*", Fault.SLOW)
        name_both(fleet)
        fleet.wait(lambda: fleet.journal("sounds").state is State.FETCHING)
        fleet.wait(lambda: fleet.good("digits") == 1)
        assert fleet.journal("sounds").state is State.FETCHING


def test_a_stop_ends_a_download_at_once_and_counts_nothing(fleet: Fleet) -> None:
    with fleet.agent() as agent:
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.journal("digits").state is State.PROBATION)
        assert fleet.journal("digits").boot is not None
        fleet.repo.fault("blobs/*", Fault.SLOW)
        name_both(fleet)
        fleet.wait(lambda: fleet.journal("sounds").state is State.FETCHING)
        begun = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - begun < patient(5)
    assert fleet.journal("digits").boot is None
    assert fleet.journal("digits").watched_s > 0


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Fleet]:
    """A device on which release 1 is good, and whose pauses would be long."""
    settings = SETTINGS.replace("retry_first_s = 0.05\nretry_most_s = 0.5", "retry_first_s = 60.0")
    with Fleet(tmp_path, broker=False, settings=settings) as fleet:
        for model, release in (("digits", 1), ("digits", 2), ("sounds", 1)):
            fleet.repo.publish(fleet.repo.bundle(model, release))
        fleet.enrol()
        with fleet.agent():
            fleet.order("digits", 1)
            fleet.wait(lambda: fleet.good("digits") == 1)
            yield fleet
            fleet.serve.held.clear()


def never_a_byte(fleet: Fleet) -> None:
    fleet.repo.slow_s = 60.0
    fleet.repo.fault("blobs/*", Fault.SLOW)
    fleet.order("digits", 2)
    fleet.wait(lambda: asked_for_blobs(fleet))


def never_an_answer(fleet: Fleet) -> None:
    fleet.repo.fault("blobs/*", Fault.SILENT)
    fleet.order("digits", 2)
    fleet.wait(lambda: asked_for_blobs(fleet))


def a_pause(fleet: Fleet) -> None:
    fleet.repo.fault("blobs/*", Fault.BROKEN)
    fleet.order("digits", 2)
    fleet.wait(lambda: "fetch again in" in fleet.log.read_text())


def a_trial(fleet: Fleet) -> None:
    fleet.serve.held.add("try")
    fleet.order("digits", 2)
    fleet.wait(lambda: fleet.serve.calls.count("try") == 2)


def a_probe(fleet: Fleet) -> None:
    fleet.serve.held.add("probe")
    before = fleet.serve.calls.count("probe")
    fleet.order("digits", 2)
    fleet.wait(lambda: fleet.serve.calls.count("probe") > before)
    assert fleet.serve.running == {"digits": 2}


def asked_for_blobs(fleet: Fleet) -> list[str]:
    model = fleet.repo.base / "bundles/digits/2/model.tflite"
    blob = hashlib.sha256(model.read_bytes()).hexdigest()
    return [name for name, _ in fleet.repo.requests if name == f"blobs/{blob}"]


@pytest.mark.parametrize("begin", [never_a_byte, never_an_answer, a_pause, a_trial, a_probe])
def test_an_update_is_cancelled_within_a_second_whatever_it_waits_for(
    busy: Fleet, begin: Callable[[Fleet], None]
) -> None:
    begin(busy)
    before = time.monotonic()
    busy.order("digits", 1)
    busy.wait(lambda: busy.journal("digits").state is State.IDLE)
    busy.wait(lambda: busy.serve.running == {"digits": 1})
    assert time.monotonic() - before < patient(1.0)
    held = busy.journal("digits")
    assert (held.tries, held.quarantine) == (0, {})
    # Whatever did not answer then is not waited for: the same release may begin at once.
    busy.repo.honest()
    busy.serve.held.clear()
    busy.order("digits", 2)
    busy.wait(lambda: busy.good("digits") == 2)


def test_a_model_is_removed_within_a_second_whatever_it_waits_for(busy: Fleet) -> None:
    never_a_byte(busy)
    before = time.monotonic()
    busy.version += 1
    busy.console.desire("pi-7", busy.repo.director(device="pi-7", version=busy.version))
    busy.wait(lambda: busy.serve.running == {})
    assert time.monotonic() - before < patient(1.0)


def test_a_document_that_changes_nothing_interrupts_nothing(busy: Fleet) -> None:
    """A director that says the same again and again kept a download from ever arriving."""
    big = {"model.tflite": bytes(100)}
    busy.repo.publish(busy.repo.bundle("digits", 3, files=big))
    busy.repo.slow_s = 0.02
    busy.repo.fault("blobs/*", Fault.SLOW)

    def good_while_it_is_said_again() -> bool:
        busy.order("digits", 3)
        return busy.good("digits") == 3

    busy.wait(good_while_it_is_said_again)
    assert len({name for name, _ in blobs(busy)}) == len(blobs(busy)), "each was asked for once"
    busy.wait(lambda: [event for event, _ in busy.events("digits")[4:]] == STEPS)


def test_a_model_whose_source_says_nothing_keeps_no_other_waiting(busy: Fleet) -> None:
    never_a_byte(busy)
    busy.repo.honest()
    busy.version += 1
    both = [busy.repo.assignment("digits", 2), busy.repo.assignment("sounds", 1)]
    busy.console.desire("pi-7", busy.repo.director(*both, device="pi-7", version=busy.version))
    busy.wait(lambda: busy.good("sounds") == 1, within_s=10)
    assert busy.journal("digits").state is State.FETCHING
    assert busy.serve.running == {"digits": 1, "sounds": 1}


STEPS = ["desired", "fetched", "passed", "healthy"]


def blobs(fleet: Fleet) -> list[tuple[str, str | None]]:
    asked = fleet.repo.requests[fleet.repo.requests.index(("metadata/3.digits.json", None)) :]
    return [one for one in asked if one[0].startswith("blobs/")]


class Looks:
    """Wishes that find something at the second look, and whoever has to do it then."""

    def __init__(self) -> None:
        self.looks, self.due_s = 0, math.inf

    def look(self) -> None:
        self.looks += 1
        if self.looks == 2:
            self.due_s = 0.0


def test_what_a_second_look_finds_is_done_at_once() -> None:
    """The disk refused the first look of a turn: the second finds what is to be done."""
    looks = Looks()
    wishes = SimpleNamespace(work=looks.look, due_in_s=lambda: math.inf)
    agenda = SimpleNamespace(due_in_s=lambda: looks.due_s)
    life = SimpleNamespace(work=lambda: None, agenda=agenda)
    worker = Worker(life, wishes, Hands(), changed=lambda: None)  # type: ignore[arg-type]
    assert worker.turn() == 0.0
