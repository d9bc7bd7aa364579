"""No faster than may be, however many read."""

from littoral_agent.pace import DEPTH_S, Rate


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_over_any_time_no_more_comes_than_the_rate_and_one_bucket() -> None:
    clock = Clock()
    rate, came = Rate(1000, clock=clock), 0
    for count in (100, 5000, 1, 700, 64_000, 10) * 5:
        came += count
        clock.now_s += rate.took(count)
        assert came <= 1000 * (clock.now_s - 100.0 + DEPTH_S) + 0.001
    assert clock.now_s - 100.0 >= came / 1000 - DEPTH_S - 0.001


def test_after_a_silence_one_bucket_comes_at_once_and_no_more() -> None:
    clock = Clock()
    rate = Rate(1000, clock=clock)
    clock.now_s += 3600
    assert rate.took(1000) == 0.0
    assert rate.took(500) == 0.5


def test_two_who_read_share_it() -> None:
    clock = Clock()
    rate = Rate(1000, clock=clock)
    rate.took(1000)
    assert [rate.took(1000), rate.took(1000)] == [1.0, 2.0]
