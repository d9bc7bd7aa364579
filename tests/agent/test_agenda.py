"""What is to be done, and when: whoever waits keeps nobody else waiting."""

from dataclasses import dataclass, replace

import pytest

from littoral.errors import StorageError, UnreachableError
from littoral_agent.agenda import Agenda, AstrayError, FartherError
from littoral_agent.halting import Halt
from littoral_agent.settings import Settings
from littoral_agent.update import Do

SETTINGS = Settings(retry_first_s=1.0, retry_most_s=64.0, serve_poll_s=2.0, poll_every_s=30.0)


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agenda(clock: Clock) -> Agenda:
    return Agenda(SETTINGS, clock=clock)


def begin(agenda: Agenda) -> dict[tuple[str, Do], Halt]:
    """Begin what is due."""
    begun = {}
    for model, deed in agenda.due():
        begun[model, deed] = Halt()
        agenda.began(model, deed, begun[model, deed])
    return begun


def end(agenda: Agenda, begun: dict[tuple[str, Do], Halt]) -> None:
    """Let all that was begun go well."""
    for (model, deed), halt in begun.items():
        assert agenda.ended(model, halt)
        agenda.done(model, deed)


def test_deeds_are_done_one_after_the_other(agenda: Agenda) -> None:
    agenda.put("digits", (Do.RUN, Do.COLLECT))
    first = begin(agenda)
    assert list(first) == [("digits", Do.RUN)]
    assert begin(agenda) == {}
    end(agenda, first)
    end(agenda, begin(agenda))
    assert agenda.idle


def test_models_do_not_wait_for_each_other_but_serve_does_one_heavy_thing_at_a_time(
    agenda: Agenda,
) -> None:
    agenda.put("digits", (Do.TRY,))
    agenda.put("sounds", (Do.TRY,))
    agenda.put("faces", (Do.FETCH,))
    agenda.put("gates", (Do.FETCH,))
    first = begin(agenda)
    assert list(first) == [("digits", Do.TRY), ("faces", Do.FETCH), ("gates", Do.FETCH)]
    assert agenda.due_in_s() == float("inf"), "whoever ends wakes us"
    end(agenda, {("digits", Do.TRY): first["digits", Do.TRY]})
    assert list(begin(agenda)) == [("sounds", Do.TRY)]


def test_however_many_models_there_are_few_are_brought_at_once_and_each_has_its_turn(
    agenda: Agenda, clock: Clock
) -> None:
    """An agent's threads are counted: who began them all at once would begin none any more."""
    for n in range(100):
        agenda.put(f"m{n}", (Do.FETCH,))
    brought: list[str] = []
    while len(brought) < 100:
        begun = begin(agenda)
        assert 0 < len(begun) <= 8
        clock.now_s += 30.0  # who answers none of them answers none of the next
        for (model, deed), halt in begun.items():
            brought.append(model)
            agenda.ended(model, halt)
            agenda.later(model, deed, StorageError("nobody answers"))
    assert len(set(brought)) == 100


def test_downloads_that_were_left_keep_no_place_while_they_are_few(agenda: Agenda) -> None:
    """Whoever waits for the head of an answer ends only when that is too slow, in a minute."""
    for _ in range(8):
        agenda.put("digits", (Do.FETCH,))
        begin(agenda)
    for n in range(8):
        agenda.put(f"model-{n}", (Do.FETCH,))
    agenda.put("digits", ())
    assert len(begin(agenda)) == 8


def test_downloads_that_were_left_and_have_not_ended_count_when_they_are_many(
    agenda: Agenda,
) -> None:
    left: list[Halt] = []
    for _ in range(16):
        agenda.put("digits", (Do.FETCH,))
        left += begin(agenda).values()
    agenda.put("digits", (Do.FETCH,))
    assert begin(agenda) == {}
    assert agenda.due_in_s() == float("inf"), "whoever ends wakes us"
    agenda.serve_started()
    assert list(begin(agenda)) == [("digits", Do.RUN)], "what serves waits for none of them"
    agenda.ended("digits", left[0])
    agenda.put("faces", (Do.FETCH,))
    assert list(begin(agenda)) == [("faces", Do.FETCH)]


def test_serve_is_brought_in_line_beside_a_download(agenda: Agenda) -> None:
    agenda.put("digits", (Do.FETCH,))
    begin(agenda)
    agenda.serve_started()
    assert list(begin(agenda)) == [("digits", Do.RUN)]


def test_what_is_put_halts_what_is_done_and_waits_for_its_end_unless_it_is_a_download(
    agenda: Agenda,
) -> None:
    for deed, waits in ((Do.TRY, True), (Do.WATCH, True), (Do.FETCH, False)):
        agenda.put("digits", (deed,))
        begun = begin(agenda)
        agenda.put("digits", (Do.COLLECT,))
        assert begun["digits", deed].said
        assert (begin(agenda) == {}) is waits
        assert not agenda.ended("digits", begun["digits", deed]), "nobody asks how it ended"


def test_a_loading_that_is_no_longer_meant_is_made_good_afterwards(agenda: Agenda) -> None:
    agenda.put("digits", (Do.RUN, Do.WATCH))
    begun = begin(agenda)
    agenda.put("digits", (Do.COLLECT,))
    assert begin(agenda) == {}
    agenda.ended("digits", begun["digits", Do.RUN])
    assert list(begin(agenda)) == [("digits", Do.RUN)]


def test_pauses_grow_and_begin_anew_where_there_is_progress(agenda: Agenda, clock: Clock) -> None:
    def pause_s(error: StorageError | FartherError) -> float:
        (halt,) = begin(agenda).values()
        agenda.ended("digits", halt)
        agenda.later("digits", Do.FETCH, error)
        paused_s = agenda.due_in_s()
        clock.now_s += paused_s
        return paused_s

    agenda.put("digits", (Do.FETCH,))
    pauses = [pause_s(StorageError("the disk refuses")) for _ in range(6)]
    assert pauses[5] > 8 * pauses[0]
    assert pause_s(FartherError("cut off")) <= 1.0


def test_a_watch_is_done_again_and_again_and_not_after_growing_pauses(
    agenda: Agenda, clock: Clock
) -> None:
    agenda.put("digits", (Do.WATCH,))
    for _ in range(5):
        end(agenda, begin(agenda))
        assert agenda.due_in_s() == 2.0
        clock.now_s += 2.0
    (halt,) = begin(agenda).values()
    agenda.ended("digits", halt)
    agenda.later("digits", Do.WATCH, AstrayError("serve runs another"))
    assert list(begin(agenda)) == [("digits", Do.RUN)], "serve is brought in line at once"


def test_a_start_of_serve_ends_the_pauses_of_what_it_was_needed_for(
    clock: Clock,
) -> None:
    agenda = Agenda(replace(SETTINGS, retry_first_s=60.0), clock=clock)
    for model, deed in (("digits", Do.TRY), ("faces", Do.FETCH)):
        agenda.put(model, (deed,))
        (halt,) = begin(agenda).values()
        agenda.ended(model, halt)
        agenda.later(model, deed, StorageError("not now"))
    agenda.serve_started()
    begun = begin(agenda)
    end(agenda, begun)
    begun |= begin(agenda)
    assert ("digits", Do.TRY) in begun
    assert ("faces", Do.FETCH) not in begun


def test_serve_that_was_not_brought_in_line_is_tried_again_soon_and_then_ever_more_rarely(
    agenda: Agenda, clock: Clock
) -> None:
    """Seen: one order that was cut off, and a minute without a model."""
    agenda.put("digits", (Do.COLLECT,))
    end(agenda, begin(agenda))
    agenda.serve_started()
    pauses = []
    for _ in range(9):
        ((_, halt),) = begin(agenda).items()
        agenda.ended("digits", halt)
        agenda.later("digits", Do.RUN, UnreachableError("cut off"))
        pauses.append(agenda.due_in_s())
        clock.now_s += pauses[-1]
    assert pauses[0] <= 2.0
    assert 15.0 <= pauses[-1] <= 45.0, "as often as before, and no more rarely"
    end(agenda, begin(agenda))
    agenda.serve_started()
    ((_, halt),) = begin(agenda).items()
    agenda.ended("digits", halt)
    agenda.later("digits", Do.RUN, UnreachableError("cut off"))
    assert agenda.due_in_s() <= 2.0, "it went well between"


def test_what_is_put_for_later_is_not_due_before(agenda: Agenda, clock: Clock) -> None:
    agenda.put("digits", (Do.TRY,), after_s=30.0)
    assert begin(agenda) == {}
    assert agenda.due_in_s() == 30.0
    clock.now_s += 30.0
    assert list(begin(agenda)) == [("digits", Do.TRY)]


def test_why_files_do_not_come_is_known_until_they_do(agenda: Agenda) -> None:
    agenda.put("digits", (Do.FETCH, Do.TRY))
    agenda.later("digits", Do.FETCH, UnreachableError("nobody is there"))
    assert str(agenda.unfetched) == "nobody is there"
    agenda.done("digits", Do.FETCH)
    assert agenda.unfetched is None
