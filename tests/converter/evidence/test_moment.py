from datetime import UTC, datetime

import pytest

from littoral.errors import MisuseError
from littoral_converter.evidence import moment


def test_the_variable_of_reproducible_builds_is_taken_for_now() -> None:
    told = moment.now({"SOURCE_DATE_EPOCH": "1700000000"})
    assert told == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("nothing", [{}, {"SOURCE_DATE_EPOCH": ""}])
def test_without_it_the_clock_says(nothing: dict[str, str]) -> None:
    assert abs((moment.now(nothing) - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.parametrize("words", ["yesterday", "1.5", "9" * 30])
def test_what_is_no_time_is_named(words: str) -> None:
    with pytest.raises(MisuseError, match="SOURCE_DATE_EPOCH"):
        moment.now({"SOURCE_DATE_EPOCH": words})
