"""How much is asked for at once: a second's worth, whatever the line is like."""

import pytest

from littoral_agent.flow import FIRST, LEAST, MOST, Flow


def run(
    flow: Flow, *, bytes_per_s: float, rtt_s: float, rounds: int = 40
) -> tuple[float, float, float]:
    """Let ``flow`` ask over a line; return its rate, and how long what is under way takes."""
    now = free_s = 0.0
    came = 0
    asked: list[tuple[float, int, int]] = []
    for _ in range(rounds):
        while sum(size for _, size, _ in asked) + flow.span <= flow.window or not asked:
            asked.append((now, flow.span, came))
        sent_s, size, before = asked.pop(0)
        free_s = max(free_s, sent_s + rtt_s) + size / bytes_per_s
        now, came = free_s, came + size
        flow.answered(now - size / bytes_per_s - sent_s + min(size, 32768) / bytes_per_s)
        flow.came(came - before, now - sent_s)
    last = [size for _, size, _ in asked]
    return came / now, sum(last) / bytes_per_s, now


@pytest.mark.parametrize("rtt_s", [0.001, 0.1, 0.7, 2.0])
@pytest.mark.parametrize("bytes_per_s", [500.0, 20e3, 250e3, 10e6])
def test_a_line_is_filled_and_no_more_waits_on_it_than_seconds(
    bytes_per_s: float, rtt_s: float
) -> None:
    flow = Flow()
    _, ahead_s, _ = run(flow, bytes_per_s=bytes_per_s, rtt_s=rtt_s)
    assert LEAST <= flow.window <= MOST
    most_s = max(1.0, 2 * rtt_s) * 1.3 + FIRST / bytes_per_s
    assert ahead_s <= most_s, (flow.window, ahead_s)
    rate, _, _ = run(flow, bytes_per_s=bytes_per_s, rtt_s=rtt_s, rounds=200)
    reachable = min(bytes_per_s, MOST / (rtt_s + MOST / 4 / bytes_per_s))
    assert rate > 0.6 * reachable, (rate, flow.window)


def test_a_line_that_became_slow_is_not_asked_for_what_it_could_before() -> None:
    flow = Flow()
    run(flow, bytes_per_s=10e6, rtt_s=0.01)
    assert flow.window == MOST
    flow.silent()
    assert flow.window == LEAST
    flow.came(4096, 1.0)
    assert flow.window == LEAST


def test_patience_is_learnt_and_grows_with_every_silence() -> None:
    flow = Flow()
    assert flow.patience_s == 3.0
    flow.answered(0.01)
    assert flow.patience_s == 6.0, "of how fast the line is nothing is known yet"
    flow.came(4096, 0.1)
    assert flow.patience_s == 2.0, "a broker may be busy for a moment"
    for _ in range(20):
        flow.answered(4.0)
    assert 4.0 < flow.patience_s < 12.0
    for _ in range(9):
        flow.silent()
    assert 20.0 <= flow.patience_s <= 25.0


def test_a_console_that_is_farther_than_it_was_is_learnt_anew() -> None:
    """Else a second's worth of what came in one round trip is ever less, down to the least."""
    flow = Flow()
    run(flow, bytes_per_s=1e6, rtt_s=0.01)
    flow.silent()
    rate, _, _ = run(flow, bytes_per_s=1e6, rtt_s=4.0, rounds=200)
    assert rate > 0.5 * MOST / 4.0
