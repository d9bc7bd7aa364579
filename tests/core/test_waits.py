"""For what an update waits, in words; the times are other people's."""

import pytest

from littoral.waits import moment, words

NOW_MS = 1_767_268_800_000  # 2026-01-01 12:00


def test_it_says_until_when_with_the_day_where_that_is_another_one() -> None:
    assert words("window", NOW_MS + 3_600_000, now_ms=NOW_MS).endswith("until 13:00 UTC")
    assert words("window", NOW_MS + 86_400_000, now_ms=NOW_MS).endswith("2026-01-02 12:00 UTC")
    assert words("window", NOW_MS, now_ms=NOW_MS).endswith("due at 12:00 UTC")


@pytest.mark.parametrize(("ms", "year"), [(2**53, 9999), (2**200, 9999), (-(2**60), 1970)])
def test_a_time_that_no_calendar_has_is_the_nearest_that_it_has(ms: int, year: int) -> None:
    assert moment(ms).year == year
    assert str(year) in words("window", ms, now_ms=NOW_MS)
