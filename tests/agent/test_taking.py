"""Whoever holds a medium out waits for what comes of it: as long as it takes, and no longer."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.errors import SignatureError
from littoral.wire.journal import Choice, Journal, State
from littoral_agent.folder import Folder
from littoral_agent.sources import Sources
from littoral_agent.taking import Taking, View
from patience import patient

GOOD = Choice(release=1, manifest="a" * 64, variant="cpu", hardware="cpu-x86_64")
BUSY = View(resting=False, disbelieved=None, unreached=None, journals={}, refused={}, serving=True)
DONE = replace(BUSY, resting=True, journals={"digits": Journal(model="digits", good=GOOD)})


@pytest.fixture
def medium(tmp_path: Path) -> Folder:
    target = {"digits": {"hashes": {"sha256": "a" * 64}}}
    word = {"signed": {"version": 7, "targets": target}}
    (tmp_path / "director").mkdir()
    (tmp_path / "director/pi-7.json").write_text(json.dumps(word))
    return Folder(tmp_path)


class Agent:
    """What is seen of an agent; each look is counted."""

    def __init__(self) -> None:
        self.now, self.looks = BUSY, 0
        self.taking: Taking
        self.looked = threading.Event()

    def view(self) -> View:
        self.looks += 1
        self.looked.set()
        return self.now


def taking(hear: Callable[[bytes], None] = lambda _: None) -> tuple[Taking, Agent]:
    agent = Agent()
    agent.taking = Taking("pi-7", Sources(), hear=hear, view=agent.view)
    return agent.taking, agent


@pytest.mark.parametrize("before", [BUSY, replace(DONE, switching=True)])
def test_it_is_answered_when_it_is_done_and_nobody_looks_before(
    medium: Folder, before: View
) -> None:
    one, agent = taking()
    agent.now = before

    def work() -> None:
        agent.looked.wait(10)
        time.sleep(0.5)
        assert agent.looks == 1, "nothing happened: nobody looked again"
        agent.now = DONE
        one.changed()

    worker = threading.Thread(target=work)
    worker.start()
    begun = time.monotonic()
    taken = one.take(medium, wait_s=60)
    worker.join()
    assert (taken.version, [m.verdict for m in taken.models]) == (7, ["proven"])
    assert (agent.looks, time.monotonic() - begun < patient(5)) == (2, True)


def test_what_takes_longer_is_told_as_it_stands(medium: Folder) -> None:
    one, agent = taking()
    held = Journal(model="digits", state=State.FETCHING, candidate=GOOD)
    agent.now = replace(BUSY, journals={"digits": held})
    taken = one.take(medium, wait_s=0.2)
    assert [(m.release, m.verdict) for m in taken.models] == [(1, "under way")]


def test_a_word_that_is_not_believed_is_told_at_once(medium: Folder) -> None:
    said: list[bytes] = []
    one, agent = taking(hear=said.append)
    word = medium("director/pi-7.json", limit=1000)
    agent.now = replace(DONE, disbelieved=(word, SignatureError("nobody's")))
    taken = one.take(medium, wait_s=60)
    assert (taken.code, said) == ("signature", [word])
