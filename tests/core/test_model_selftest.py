"""Golden vectors: how they are kept, what is measured, who fails."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Selftest, Tensor, Tolerance
from littoral.errors import LatencyError, MalformedError, MemoryBudgetError, OutputsError
from littoral.model import selftest
from littoral.model.backends import open_session
from littoral.model.selftest import Figures
from littoral.resident import resident_bytes
from patience import patient

FIXTURES = Path(__file__).parents[1] / "fixtures"
SPECS = (
    Tensor(name="a", shape=(1, 3), dtype="int8", scale=0.5),
    Tensor(name="b", shape=(2,), dtype="float32"),
)


def samples(count: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        (rng.integers(-128, 128, (1, 3)).astype(np.int8), rng.normal(size=2).astype(np.float32))
        for _ in range(count)
    ]


def contract(**changes: Any) -> Selftest:
    known = {"count": 4, "inputs": "i", "outputs": "o", "tolerance": Tolerance(max_abs=0.01)}
    return Selftest(**{**known, **changes})


def figures(**changes: Any) -> Figures:
    known = {"max_abs": 0.0, "top1": 1.0, "p95_cpu_us": 100.0, "peak_bytes": 1000}
    return Figures(**{**known, **changes})


def test_packed_samples_come_back_as_they_were() -> None:
    given = samples(4)
    back = selftest.unpack(selftest.pack(given), SPECS, count=4)
    for ours, theirs in zip(back, given, strict=True):
        assert [t.dtype for t in ours] == [t.dtype for t in theirs]
        assert all(map(np.array_equal, ours, theirs))


def test_the_bytes_are_the_manifests_raw_little_endian_c_order() -> None:
    sample = (np.array([[1, 2, 3]], np.int8), np.array([1.0, -2.0], ">f4"))
    assert selftest.pack([sample]) == bytes([1, 2, 3]) + np.array([1, -2], "<f4").tobytes()


@pytest.mark.parametrize("cut", [slice(0, 43), slice(0, 0), slice(0, 33)])
def test_a_file_of_another_length_is_malformed(cut: slice) -> None:
    data = selftest.pack(samples(4))
    with pytest.raises(MalformedError, match="expected 4 samples of 11 bytes, found"):
        selftest.unpack(data[cut], SPECS, count=4)


def test_differences_are_in_real_units_and_top1_counts_samples() -> None:
    golden = [(np.array([[5, 1, 0]], np.int8), np.zeros(2, np.float32)) for _ in range(2)]
    found = [golden[0], (np.array([[1, 5, 0]], np.int8), np.zeros(2, np.float32))]
    assert selftest.compare(found, golden, SPECS) == (2.0, 0.5)


def test_a_nan_that_was_not_promised_is_infinitely_wrong() -> None:
    golden = [(np.zeros((1, 3), np.int8), np.array([1, np.nan], np.float32))]
    wrong = [(np.zeros((1, 3), np.int8), np.array([np.nan, np.nan], np.float32))]
    assert selftest.compare(golden, golden, SPECS) == (0.0, 1.0)
    assert selftest.compare(wrong, golden, SPECS)[0] == float("inf")
    with pytest.raises(OutputsError):
        selftest.judge(figures(max_abs=float("nan")), contract(), hardware="cpu-x86_64")


def test_measure_runs_the_real_model() -> None:
    before = resident_bytes()
    session = open_session("litert", (FIXTURES / "tiny_int8.tflite").read_bytes())
    rng = np.random.default_rng(1)
    inputs = [(rng.integers(-128, 128, (1, 8, 8, 1)).astype(np.int8),) for _ in range(4)]
    golden = [session.run(*sample) for sample in inputs]
    found = selftest.measure(session, inputs, golden, before_bytes=before)
    assert (found.max_abs, found.top1) == (0.0, 1.0)
    assert 1 < found.p95_cpu_us < 100_000
    assert found.peak_bytes is not None
    assert 0 <= found.peak_bytes < 512 * 2**20


class Sleeper:
    """Uses five milliseconds of the processor; waits twenty more in the first runs."""

    inputs = outputs = (Tensor(name="x", shape=(1,), dtype="int8"),)

    def run(self, *inputs: Any) -> tuple[Any, ...]:
        time.sleep(0.001)
        end = time.thread_time() + 0.005
        while time.thread_time() < end:
            pass
        return inputs


def test_waiting_is_not_counted_and_a_slow_model_is_not_run_for_ever() -> None:
    sample = [(np.zeros(1, np.int8),)]
    start = time.monotonic()
    found = selftest.measure(Sleeper(), sample, sample)
    assert 5_000 <= found.p95_cpu_us < 6_500
    assert time.monotonic() - start < patient(10)


def test_what_lies_within_tolerance_and_budgets_passes() -> None:
    promised = contract(p95_cpu_us={"cpu-x86_64": 100.0}, memory_bytes=1000)
    selftest.judge(figures(max_abs=0.01), promised, hardware="cpu-x86_64")


@pytest.mark.parametrize("wrong", [{"max_abs": 0.011}, {"top1": 0.75}])
def test_other_outputs_fail_with_what_was_allowed(wrong: dict[str, float]) -> None:
    with pytest.raises(OutputsError, match=r"allowed: 0\.01"):
        selftest.judge(figures(**wrong), contract(), hardware="cpu-x86_64")


def test_the_latency_budget_is_that_of_this_hardware() -> None:
    promised = contract(p95_cpu_us={"cpu-x86_64": 99.0})
    with pytest.raises(LatencyError, match="100 µs; the budget is 99 µs"):
        selftest.judge(figures(), promised, hardware="cpu-x86_64")
    selftest.judge(figures(), promised, hardware="cpu-aarch64")


def test_the_memory_budget_holds_where_memory_can_be_told() -> None:
    with pytest.raises(MemoryBudgetError, match="adds 1000 bytes; the budget is 999"):
        selftest.judge(figures(), contract(memory_bytes=999), hardware="cpu-x86_64")
    selftest.judge(figures(peak_bytes=None), contract(memory_bytes=999), hardware="cpu-x86_64")


def test_whole_numbers_are_compared_as_such() -> None:
    """As floats, 2^31 and the number after it are the same, and a class would be another."""
    for dtype, value in (("int32", 2**30), ("int64", 2**62)):
        spec = Tensor(name="id", shape=(1,), dtype=dtype)  # type: ignore[arg-type]
        right = (np.array([value], dtype),)
        wrong = (np.array([value + 1], dtype),)
        assert selftest.compare([wrong], [right], [spec])[0] >= 1
        assert selftest.compare([right], [right], [spec])[0] == 0


def test_a_zero_point_far_away_hides_no_difference() -> None:
    spec = Tensor(name="y", shape=(2,), dtype="int8", scale=1.0, zero_point=2**31 - 1)
    right, wrong = (np.array([3, 4], np.int8),), (np.array([1, 4], np.int8),)
    assert selftest.compare([wrong], [right], [spec]) == (2.0, 1.0)
