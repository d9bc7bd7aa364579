"""The long benchmarks in short: what they measure is there, and the bytes are what is promised.

Times are not judged here, where other tests run beside it.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patience import patient
from simulators.console import needs_broker

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def rows(script: str, *words: str) -> dict[str, Any]:
    """Run a script as ``make bench`` does; return its rows by what they are of."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(200),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return {row["what"]: row for row in told["rows"]}


def test_a_benchmark_that_there_is_not_is_no_day_without_figures() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "run.py"), "swop"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(30),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no benchmark 'swop'; there are: applications, " in done.stderr


def test_a_crowd_that_fetches_is_done_in_the_consoles_eyes() -> None:
    found = rows(
        "fetching", "--devices", "12", "--bytes", "300000", "--mbit", "0", "--processes", "2"
    )
    assert found["done, as the console knows it"]["value"] == 12
    assert found["errors"]["value"] == 0
    assert found["payload"]["value"] == pytest.approx(12 * 0.3, rel=0.01)
    assert found["event loop's lag, 99 % within"]["value"] > 0


SHARED = Path(__file__).parents[2] / "shared/models"
needs_models = pytest.mark.skipif(not SHARED.is_dir(), reason="shared models are not here")


@needs_models
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_floor_and_bench_measure_the_same_models() -> None:
    found = rows("bench_floor", "--rounds", "1", "--seconds", "0.02")
    assert found["kws: median, over C"]["most"] == 1.05
    for name in ("kws", "movenet"):
        assert found[f"{name}: from C, least"]["value"] > 0
        assert 0.2 < found[f"{name}: least, over C"]["value"] < 20


@needs_models
def test_movenets_mean_answer_is_its_references_but_for_a_hidden_hip() -> None:
    """Each answer is one of many, and no two are within 0.02 everywhere; their mean is steady."""
    found = {what: row["value"] for what, row in rows("keypoints", "--draws", "30").items()}
    assert found["one answer: beside the model's steps, most"] < 0.01
    assert found["reference: beside the model's steps, most"] > 0.4  # another build of the model's
    assert found["two answers: most, half of pairs within"] > 0.012
    for way, mean, most in (("as it comes", 0.01, 0.043), ("antialias = false", 0.0085, 0.03)):
        assert found[f"{way}: mean answer, mean"] < mean
        assert found[f"{way}: mean answer, most"] < most
    assert found["built-in kernels to XNNPACK: mean answer, most"] < 0.01
    assert found["JPEG in part to the whole: mean answer, most"] < 0.01


@needs_models
def test_bench_and_loadgen_ask_the_same_in_every_scenario() -> None:
    pytest.importorskip("mlperf_loadgen", reason="LoadGen has no wheel here", exc_type=ImportError)
    found = rows("loadgen", "--rounds", "1", "--seconds", "0.05")
    for scenario in ("single-stream", "multi-stream", "server"):
        by = [found[f"kws, {scenario}: p50 by {who}"]["value"] for who in ("bench", "LoadGen")]
        assert all(us > 0 for us in by), scenario
    assert found["kws, offline: a sample by LoadGen"]["value"] > 0


@needs_broker
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "patch"])
def test_an_update_costs_no_more_bytes_than_are_promised(kind: str) -> None:
    found = rows("update", "--model", "tiny", "--kind", kind)
    # A file this small weighs less than what is written down of any update.
    for what, more in (("bodies", 0), ("disk writes", 500_000)):
        row = found[f"{kind}: {what}"]
        assert 0 < row["value"] <= row["most"] + more, row
    assert (found[f"{kind}: of the file"]["value"] > 99) == (kind == "plain")
    assert found[f"{kind}: push to serving"]["value"] < 60


def test_what_serve_adds_to_a_model_is_measured_beside_the_model_alone() -> None:
    if not (BENCHMARKS.parents[1] / "shared/models").is_dir():
        pytest.skip("the shared models are not here")
    words = ("--only", "ours", "--rounds", "1", "--seconds", "0.1", "--size", "490 B")
    found = rows("serving", *words)
    assert found["490 B: the model, bare"]["value"] > 0
    for way in ("serve, frames, frames", "serve, binary", "serve, TensorFlow JSON", "serve, JSON"):
        assert found[f"490 B: {way}: median"]["value"] > 0
    assert found["490 B: serve, binary: overhead"]["most"] == 20


@needs_models
@needs_broker
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.slow
def test_what_both_processes_hold_is_measured_while_they_answer() -> None:
    # This environment's libraries load more than a device has: what is promised is not judged.
    found = rows("footprint", "--turns", "1", "--seconds", "0.5", "--python", sys.executable)
    assert found["serve, over LiteRT's import"]["value"] > 1
    both = sum(found[f"{name}, resident"]["value"] for name in ("serve", "agent"))
    assert found["both, resident"]["value"] == pytest.approx(both)
    assert both > 40
    assert found["requests then"]["value"] > 0


def test_a_request_is_not_held_up_by_being_counted_for_drift() -> None:
    found = rows("drift")
    for classes in (12, 1001):
        own = found[f"{classes} classes: an answer, on its request's way"]["value"]
        assert 0 < own < found[f"{classes} classes: … counted later"]["value"]


def test_ten_thousand_requests_of_the_soak_are_answered() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "load/soak.py"), "--requests", "10000"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    told = json.loads(done.stdout)
    assert told["errors"] == 0
    assert told["requests"] >= 10_000
