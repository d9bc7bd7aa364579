"""What both channels share: what goes up, when it goes again, and which way."""

from dataclasses import replace
from pathlib import Path

import pytest

from littoral.errors import DeniedError, LittoralError, RevokedError
from littoral.wire.board import Board, Reading
from littoral.wire.messages import Acks, Running, Status
from littoral_agent import channel
from littoral_agent.channel import Auto, Outbox
from simulators.ends import AgentsSide


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(agent: AgentsSide, clock: Clock) -> Outbox:
    return Outbox(agent.ends, most=4, clock=clock)


def sequences(outbox: Outbox) -> list[int]:
    return [m.sequence for m in outbox.take()]


def acks(agent: AgentsSide, sequence: int) -> bytes:
    (stream,) = {m.stream for m in agent.spool.messages({}, limit=99)} or {"report-x"}
    return Acks(acks={stream: sequence}).to_json()


def test_no_more_is_sent_than_may_wait(outbox: Outbox, agent: AgentsSide) -> None:
    agent.report(6)
    assert sequences(outbox) == [1, 2, 3, 4]
    assert sequences(outbox) == []
    outbox.acknowledged(acks(agent, 2))
    assert sequences(outbox) == [5, 6]


def test_without_an_answer_the_first_goes_again_with_growing_pauses_and_then_the_rest(
    outbox: Outbox, agent: AgentsSide, clock: Clock
) -> None:
    """A console that is away for a week must not be told everything every quarter of an hour."""
    agent.report(3)
    assert sequences(outbox) == [1, 2, 3]
    for pause_s in (10, 20, 40):
        clock.now += pause_s - 1
        assert sequences(outbox) == []
        clock.now += 2
        assert sequences(outbox) == [1]
    outbox.acknowledged(acks(agent, 1))
    assert sequences(outbox) == [2, 3]
    clock.now += 11
    assert sequences(outbox) == [2]


def test_pauses_do_not_grow_for_ever(outbox: Outbox, agent: AgentsSide, clock: Clock) -> None:
    agent.report()
    for _ in range(20):
        sequences(outbox)
        clock.now += channel.RESEND_MOST_S + 1
    assert sequences(outbox) == [1]


def test_a_console_that_says_how_far_it_is_gets_the_rest_at_once(
    outbox: Outbox, agent: AgentsSide, clock: Clock
) -> None:
    agent.report(3)
    sequences(outbox)
    outbox.acknowledged(acks(agent, 0))
    assert sequences(outbox) == [], "it may still be on its way"
    clock.now += 2
    outbox.acknowledged(acks(agent, 0))
    assert sequences(outbox) == [1, 2, 3]


def test_an_acknowledgement_that_is_none_ends_nothing(
    outbox: Outbox, agent: AgentsSide, caplog: pytest.LogCaptureFixture
) -> None:
    agent.report()
    outbox.acknowledged(b"{]")
    assert agent.waiting == 1
    assert "malformed" in caplog.text


def test_one_message_always_fits(outbox: Outbox, agent: AgentsSide) -> None:
    agent.report(3)
    assert len(outbox.take(most_bytes=1)) == 1
    assert len(outbox.take(most_bytes=10**6)) == 2


def test_a_status_is_said_when_it_changes_and_now_and_then(
    outbox: Outbox, agent: AgentsSide, clock: Clock
) -> None:
    assert outbox.status() is not None
    agent.status = replace(agent.status, time_ms=7)
    agent.report()
    assert outbox.status() is None, "time and the spool's place are no change"
    agent.status = replace(agent.status, director=2)
    found = outbox.status()
    assert found is not None
    assert found.director == 2
    clock.now += 61
    assert outbox.status() is not None
    outbox.rewind()
    assert outbox.status() is not None, "who connects says who it is"


def test_it_says_when_it_wants_to_be_asked_again(
    outbox: Outbox, agent: AgentsSide, clock: Clock
) -> None:
    outbox.status()
    assert outbox.due_in_s() == pytest.approx(60)
    agent.report()
    outbox.take()
    assert outbox.due_in_s() == pytest.approx(10)
    clock.now += 100
    assert outbox.due_in_s() == 0


def test_a_figure_of_the_board_is_no_change_and_an_alarm_is(
    outbox: Outbox, agent: AgentsSide
) -> None:
    agent.status = replace(agent.status, board=Board(now=Reading(load=0.1)))
    assert outbox.status() is not None
    agent.status = replace(agent.status, board=Board(now=Reading(load=3.0)))
    assert outbox.status() is None
    agent.status = replace(agent.status, board=Board(alarms=("hot",)))
    assert outbox.status() is not None


def test_how_far_a_download_is_is_told_by_tenths_and_not_often(
    outbox: Outbox, agent: AgentsSide, clock: Clock
) -> None:
    def far(done: int) -> Status | None:
        one = Running(model="digits", state="fetching", done_bytes=done, total_bytes=1000)
        agent.status = replace(agent.status, models=(one,))
        return outbox.status()

    assert far(0) is not None
    assert far(500) is None, "too soon"
    clock.now += channel.FARTHER_S
    assert far(99) is None, "too little"
    said = far(100)
    assert said is not None
    assert said.models[0].done_bytes == 100
    assert far(900) is None


def test_what_was_dropped_is_said_at_once_and_what_was_acknowledged_is_no_news(
    outbox: Outbox, agent: AgentsSide
) -> None:
    """The console holds its acknowledgement back until it knows that nothing older comes."""
    agent.report(4)
    assert outbox.status() is not None
    sequences(outbox)
    outbox.acknowledged(acks(agent, 2))
    assert outbox.status() is None
    (stream,) = agent.spool.lowest()
    agent.spool.acknowledge({stream: 3})  # as a cap does it: nobody said so
    found = outbox.status()
    assert found is not None
    assert found.spool == {stream: 4}
    assert outbox.status() is None


class Way:
    """A channel that goes nowhere."""

    def __init__(self, name: str) -> None:
        self.name, self.up, self.log = name, False, list[str]()
        self.trouble: LittoralError | None = None
        self.denial: DeniedError | None = None

    def anew(self) -> None:
        self.log.append("anew")

    def start(self) -> None:
        self.log.append("start")

    def stop(self) -> None:
        self.log.append("stop")

    def wake(self) -> None:
        self.log.append("wake")

    def tick(self) -> None:
        self.log.append("tick")


def test_https_serves_while_no_broker_answers(clock: Clock) -> None:
    broker, ways = Way("mqtt"), list[Way]()

    def https() -> Way:
        ways.append(Way("https"))
        return ways[-1]

    auto = Auto(broker, https, fallback_after_s=20, clock=clock)
    auto.start()
    for _ in range(19):
        clock.now += 1
        auto.tick()
    assert (ways, auto.name, auto.up) == ([], "mqtt", False)
    clock.now += 1
    auto.tick()
    auto.tick()
    assert len(ways) == 1
    ways[0].up = True
    assert (auto.name, auto.up) == ("https", True)
    auto.wake()
    assert broker.log[-1] == ways[0].log[-1] == "wake"
    auto.anew()
    assert broker.log[-1] == ways[0].log[-1] == "anew"
    broker.denial, ways[0].denial = DeniedError("the broker's"), RevokedError("the console's")
    assert [auto.denial] == [None], "it speaks"
    ways[0].up = False
    assert auto.denial is ways[0].denial, "a broker knows no reasons"
    ways[0].denial = None
    assert auto.denial is broker.denial
    broker.up = True
    assert auto.name == "mqtt"
    auto.tick()
    assert ways[0].log[-1] == "stop"
    broker.up = False
    auto.tick()
    assert len(ways) == 1, "a broker that has just gone is waited for"
    clock.now += 21
    auto.tick()
    assert len(ways) == 2
    auto.stop()
    assert broker.log[-1] == ways[1].log[-1] == "stop"


def test_a_spool_that_cannot_be_read_sends_nothing_and_ends_nothing(
    outbox: Outbox, agent: AgentsSide, tmp_path: Path
) -> None:
    agent.spool.close()
    (tmp_path / "spool.db").unlink(missing_ok=True)
    (tmp_path / "spool.db").mkdir()
    assert outbox.take() == []
