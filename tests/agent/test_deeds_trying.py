"""TRY: what serve is asked for, by what a candidate runs on."""

from dataclasses import replace

import pytest

from littoral_agent.deeds import trying
from littoral_agent.settings import Settings


@pytest.mark.parametrize(
    ("hardware", "most_s"), [("cpu-aarch64", 20), ("cuda", 20), ("tensorrt", 320)]
)
def test_a_trial_in_which_an_engine_is_built_may_take_longer(hardware: str, most_s: float) -> None:
    settings = replace(Settings(), trial_deadline_s=20.0, engine_deadline_s=300.0)
    assert trying.deadline_s(settings, hardware) == most_s
