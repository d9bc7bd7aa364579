"""``littoral bench`` against MLPerf's LoadGen, which drives the same session with the same inputs.

Each has a process of its own, and they are asked in turns: a scenario by bench, the same one by
LoadGen, and once more by LoadGen with a model that does nothing. What that takes is LoadGen's own
time: a call of Python, and in the server's scenario the sleep before a query that ends late, where
bench waits awake. Promised is that they agree within 5 % beside it.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from littoral.model.backends import open_session
from littoral_serve.bench import feeding
from littoral_serve.bench.orders import Order
from littoral_serve.bench.percentiles import percentile
from littoral_serve.bench.process import Process, Subject, started

SHARED = Path(__file__).parents[2] / "shared/models"
MODELS = {
    "kws": "mlperf_tiny/kws_ref_model_int8.tflite",
    "mobilenet 0.25": "coral/mobilenet_v1_0.25_128_quant.tflite",
}
SAMPLES, LOAD = 8, 0.1  # of a multi-stream query; of what a server could answer
APART = 5.0
SCENARIOS = ("single-stream", "multi-stream", "server", "offline")


class Turn(NamedTuple):
    """What each side said of one scenario: p50 and p90 in µs, and samples a second."""

    bench: dict[str, float]
    loadgen: dict[str, float]
    nothing: dict[str, float]


def serve_loadgen(path: Path) -> None:
    """Answer each line ``SCENARIO SECONDS RATE MODEL`` with LoadGen's figures, to the last one.

    MODEL is ``model``, or ``nothing`` for a model that does nothing.
    """
    import mlperf_loadgen as lg

    session = open_session("litert", path.read_bytes())
    samples, _ = feeding.inputs(session.inputs, None, (), read=lambda _: b"")
    run = session.run

    def answer(queries: Any) -> None:  # noqa: ANN401 (untyped)
        lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0) for query in queries])

    def infer(queries: Any) -> None:  # noqa: ANN401 (untyped)
        for query in queries:
            run(*samples[query.index % len(samples)])
        answer(queries)

    suts = {
        "model": lg.ConstructSUT(infer, lambda: None),
        "nothing": lg.ConstructSUT(answer, lambda: None),
    }
    library = lg.ConstructQSL(1024, 1024, lambda _: None, lambda _: None)
    for line in sys.stdin:
        scenario, seconds, rate, model = line.split()
        settings = asked(lg, scenario, seconds=float(seconds), rate=float(rate))
        with tempfile.TemporaryDirectory() as folder:
            logs = lg.LogSettings()
            logs.log_output.outdir = folder
            logs.log_output.copy_summary_to_stdout = False
            logs.enable_trace = False
            lg.StartTestWithLogSettings(suts[model], library, settings, logs)
            told = (Path(folder) / "mlperf_log_summary.txt").read_text()
        print(json.dumps(figures(told)), flush=True)


def asked(lg: Any, scenario: str, *, seconds: float, rate: float) -> Any:  # noqa: ANN401 (untyped)
    settings = lg.TestSettings()
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = round(seconds * 1e3)
    settings.min_query_count = 1 if scenario == "offline" else 10
    expected_ns = round(1e9 / rate)
    match scenario:
        case "single-stream":
            settings.scenario = lg.TestScenario.SingleStream
            settings.single_stream_expected_latency_ns = expected_ns
        case "multi-stream":
            settings.scenario = lg.TestScenario.MultiStream
            settings.multi_stream_samples_per_query = SAMPLES
            settings.multi_stream_expected_latency_ns = SAMPLES * expected_ns
        case "server":
            settings.scenario = lg.TestScenario.Server
            settings.server_target_qps = rate
            settings.server_target_latency_ns = 10**9
        case _:
            settings.scenario = lg.TestScenario.Offline
            settings.offline_expected_qps = rate
    return settings


def figures(summary: str) -> dict[str, float]:
    """Return what LoadGen says: p50 and p90 in µs, and samples a second."""
    found = {
        name: float(value)
        for name, value in re.findall(r"^(.+?)\s*:\s*([\d.]+(?:e[+-]\d+)?)$", summary, re.MULTILINE)
    }
    rates = [value for name, value in found.items() if name.lower().startswith("samples per sec")]
    return {
        "p50": found.get("50.00 percentile latency (ns)", 0) / 1e3,
        "p90": found.get("90.00 percentile latency (ns)", 0) / 1e3,
        "rate": rates[0] if rates else 0.0,
    }


def ask_bench(process: Process, scenario: str, *, seconds: float, rate: float) -> dict[str, float]:
    order = Order(do="closed", seconds=seconds)
    if scenario == "multi-stream":
        order = Order(do="closed", seconds=seconds, runs_per_query=SAMPLES)
    if scenario == "server":
        order = Order(do="served", seconds=seconds, per_s=rate, seed=1)
    times = process.measure(order)
    ascending = np.sort(times.latency) / 1e3
    return {
        "p50": percentile(ascending, 0.5),
        "p90": percentile(ascending, 0.9),
        "rate": len(ascending) / (times.elapsed_ns / 1e9),
    }


def rows(name: str, path: Path, *, rounds: int, seconds: float) -> list[dict[str, Any]]:
    subject = Subject(name=name, backend="litert", model=path.read_bytes())
    words = [sys.executable, __file__, "--loadgen", str(path)]
    with (
        started(subject, threads=1) as ours,
        subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as theirs,
    ):
        stdin, stdout = theirs.stdin, theirs.stdout
        assert stdin is not None
        assert stdout is not None
        ours.ask(Order(do="load"))
        warmed = ours.ask(Order(do="warm", seconds=2.0)).warmed
        assert warmed is not None
        most = 1e6 / warmed.warm_up.p50

        def by_loadgen(order: str) -> dict[str, float]:
            stdin.write(f"{order}\n")
            stdin.flush()
            told: dict[str, float] = json.loads(stdout.readline())
            return told

        found: dict[str, list[Turn]] = {}
        for _ in range(rounds):
            for scenario in SCENARIOS:
                rate = LOAD * most if scenario == "server" else most
                turn = Turn(
                    bench=ask_bench(ours, scenario, seconds=seconds, rate=rate),
                    loadgen=by_loadgen(f"{scenario} {seconds} {rate} model"),
                    nothing=by_loadgen(f"{scenario} {seconds / 3} {rate} nothing"),
                )
                found.setdefault(scenario, []).append(turn)
        stdin.close()
    return [row for scenario in SCENARIOS for row in _told(name, scenario, found[scenario])]


def _told(name: str, scenario: str, turns: list[Turn]) -> list[dict[str, Any]]:
    what = "rate" if scenario == "offline" else "p50"
    by_bench, by_loadgen, by_nothing = (
        statistics.median(_time(figures, what) for figures in side)
        for side in zip(*turns, strict=True)
    )
    # By turns, because what disturbs one turn disturbs all of it.
    ratio = statistics.median(
        (_time(turn.loadgen, what) - _time(turn.nothing, what)) / _time(turn.bench, what)
        for turn in turns
    )
    title = f"{name}, {scenario}"
    said = "p50" if what == "p50" else "a sample"
    return [
        {"what": f"{title}: {said} by bench", "value": by_bench, "unit": "µs"},
        {"what": f"{title}: {said} by LoadGen", "value": by_loadgen, "unit": "µs"},
        {"what": f"{title}: {said} by LoadGen of nothing", "value": by_nothing, "unit": "µs"},
        {
            "what": f"{title}: apart, beside that",
            "value": 100 * abs(ratio - 1),
            "unit": "%",
            "most": APART,
        },
    ]


def _time(figures: dict[str, float], what: str) -> float:
    return 1e6 / figures["rate"] if what == "rate" else figures[what]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--loadgen", type=Path, help="be the process that LoadGen drives")
    asked_for = parser.parse_args()
    if asked_for.loadgen is not None:
        serve_loadgen(asked_for.loadgen)
        return
    try:
        import mlperf_loadgen  # noqa: F401 (whether it is there)
    except ImportError:
        print(json.dumps({"skipped": "LoadGen is not installed: pip install 'littoral[bench]'"}))
        return
    if not SHARED.is_dir():
        print(json.dumps({"skipped": "shared models are not here"}))
        return
    told = [
        row
        for name, path in MODELS.items()
        for row in rows(name, SHARED / path, rounds=asked_for.rounds, seconds=asked_for.seconds)
    ]
    print(json.dumps({"rows": told}))


if __name__ == "__main__":
    main()
