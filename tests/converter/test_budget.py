from littoral_converter import budget
from littoral_converter.recipe import Selftest


def test_a_fast_model_gets_the_floor_and_a_slow_one_a_multiple() -> None:
    wanted = Selftest(margin=4, floor_us=1000)
    assert budget.budgets(20, wanted, here="cpu-x86_64") == {"cpu-x86_64": 1000}
    assert budget.budgets(700.2, wanted, here="cpu-x86_64") == {"cpu-x86_64": 2801}


def test_other_hardware_has_a_budget_only_from_the_recipe() -> None:
    wanted = Selftest(p95_cpu_us={"cpu-aarch64": 5000, "cpu-x86_64": 300})
    assert budget.budgets(20, wanted, here="cpu-x86_64") == {
        "cpu-aarch64": 5000,
        "cpu-x86_64": 300,
    }
    assert budget.budgets(20, Selftest(), here=None) == {}


def test_a_budget_that_this_host_exceeds_is_warned_about() -> None:
    assert "will refuse" in (budget.warning(50, {"cpu-x86_64": 10}, here="cpu-x86_64") or "")
    assert budget.warning(50, {"cpu-x86_64": 100}, here="cpu-x86_64") is None
    assert budget.warning(50, {"cpu-aarch64": 10}, here="cpu-x86_64") is None
    assert budget.warning(50, {}, here=None) is None


def test_percentiles_are_of_what_was_measured() -> None:
    found = budget.latency([float(n) for n in range(1, 101)], [5.0] * 100)
    assert found.count == 100
    assert (found.cpu_us.p50, found.cpu_us.p95, found.cpu_us.p99) == (51, 96, 100)
    assert found.wall_us.p99 == 5
