"""What people read of figures: three digits and a unit, and each reason to doubt them."""

from dataclasses import replace
from typing import Any

import pytest

from littoral_serve.bench import words
from littoral_serve.bench.result import (
    FIGURES,
    Conditions,
    Host,
    Latency,
    Memory,
    Operator,
    Result,
    Searched,
    Setting,
    WarmUp,
)

CALM = Result(
    target="m.tflite",
    time_ms=0,
    backend="litert",
    threads=1,
    scenario="single-stream",
    count=1000,
    duration_s=10.0,
    latency_us=Latency(
        **dict.fromkeys(FIGURES, 100.0) | {"p50": 80.0},
        mean=80.0,
        least=70.0,
        most=110.0,
        ci95=dict.fromkeys(FIGURES, (99.0, 101.0)),
        independent=1000,
    ),
    throughput_per_s=10_000.0,
    metric="p90 of the latency",
    metric_value=100.0,
    metric_unit="µs",
    runtime_ms=50.0,
    load_ms=1.0,
    first_ms=1.0,
    warm_up=WarmUp(count=100, seconds=0.5, p50=100.0, stable=True),
    rss_bytes=50 * 2**20,
    memory=Memory(),
    inputs="random",
    conditions=Conditions(samples=10, load=0.4),
    host=Host(
        name="pi",
        hardware="cpu-aarch64",
        board="Raspberry Pi 4 Model B",
        processor="Cortex-A72",
        cores=4,
        memory_mib=4096,
        governor="performance",
        system="Linux",
        python="3.11",
        littoral="0",
        runtime="LiteRT 2",
    ),
)


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (None, "?"),
        (0.0514, "0.05 µs"),
        (9.994, "9.99 µs"),
        (10.04, "10.0 µs"),
        (123.4, "123 µs"),
        (1000, "1.00 ms"),
        (45_670, "45.7 ms"),
        (1e6, "1.00 s"),
        (3_600e6, "3,600 s"),
    ],
)
def test_a_time_has_three_digits_and_a_unit(us: float | None, said: str) -> None:
    assert words.time(us) == said


def test_a_calm_run_is_not_doubted() -> None:
    assert words.doubts(CALM) == []
    within = replace(CALM, limit_us=100.0, limit_bytes=50 * 2**20)
    assert words.doubts(within) == []
    kept = replace(CALM, scenario="server", asked_per_s=11_000.0)
    assert words.doubts(kept) == []


def latency(**changes: Any) -> dict[str, Any]:
    return {"latency_us": replace(CALM.latency_us, **changes)}


def board(**changes: Any) -> dict[str, Any]:
    return {"conditions": replace(CALM.conditions, **changes)}


SHORT = CALM.latency_us.ci95 | dict.fromkeys(("p90", "p95", "p99"), (99.0, None))
SEARCHED = (Searched(per_s=9.0, p99=98.0, kept=True),)
OPEN = {**CALM.latency_us.ci95, "p99": (99.0, None)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warm_up": replace(CALM.warm_up, stable=False)}, "the model was not warm after 0.5 s"),
        (board(throttled=3), "throttled at 3 of 10 looks"),
        (board(under_voltage=1), "the board's voltage was low"),
        (board(load=4.0), "the machine was busy when it began: load 4"),
        ({"host": replace(CALM.host, governor="ondemand")}, "governed by 'ondemand'"),
        (latency(ci95=OPEN), "the run is too short to bound p99"),
        (latency(ci95=SHORT), "the run is too short to bound p90"),
        ({"scenario": "server", "limit_us": 99.0}, "p99 is beyond the limit of 99.0 µs"),
        (
            {"scenario": "server", "limit_us": 99.0, "searched": SEARCHED},
            "p99 is beyond the limit of 99.0 µs, which shorter runs at this rate kept",
        ),
        ({"limit_us": 99.0}, "p95 is beyond the limit of 99.0 µs"),
        ({"limit_bytes": 2**20}, "memory is beyond the limit of 1.0 MiB"),
        ({"limit_bytes": 2**30, "rss_bytes": None}, "memory is beyond the limit of 1024.0 MiB"),
        ({"scenario": "server", "asked_per_s": 12_000.0}, "it cannot keep up with 12,000 queries"),
    ],
)
def test_each_reason_to_doubt_is_told_by_itself(changes: dict[str, Any], said: str) -> None:
    (told,) = words.doubts(replace(CALM, **changes))
    assert said in told


@pytest.mark.parametrize(
    "changes",
    [
        # What a sweep found stands in its table.
        {"settings": (Setting(backend="litert", threads=1),), "limit_us": 99.0},
        {"host": replace(CALM.host, governor=None)},
        board(load=None),
    ],
)
def test_what_is_told_elsewhere_or_is_not_known_is_no_doubt(changes: dict[str, Any]) -> None:
    assert words.doubts(replace(CALM, **changes)) == []


def test_a_figure_is_told_as_times_are() -> None:
    assert words.metric(replace(CALM, metric_value=16_038.843)) == "p90 of the latency: 16.0 ms"
    rate = replace(CALM, metric="throughput", metric_value=137.21, metric_unit="samples/s")
    assert words.metric(rate) == "throughput: 137 samples/s"
    assert words.spread(2600.0, 2600.0, "MHz") == "2600 MHz"
    assert words.spread(40.5, 51.0, "°C") == "40.5 … 51 °C"


def test_operators_are_summed_by_kind_the_dearest_first() -> None:
    made = [
        Operator(index=at, op=op, shape=(1,), us=us, share=us / 10)
        for at, (op, us) in enumerate([("ADD", 1.0), ("CONV_2D", 4.0), ("ADD", 2.0), ("X", 3.0)])
    ]
    assert [(op, count, us) for op, count, us, _ in words.kinds(made)] == [
        ("CONV_2D", 1, 4.0),
        ("ADD", 2, 3.0),
        ("X", 1, 3.0),
    ]
    assert sum(share for *_, share in words.kinds(made)) == pytest.approx(1.0)
