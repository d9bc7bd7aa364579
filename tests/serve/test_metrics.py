"""What Prometheus reads, read by its own parser."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from littoral import __version__
from littoral.wire.sketch import SCALE, Sketch
from littoral.wire.stages import STAGES
from littoral_serve.protocols import metrics
from simulators.served import FIXTURES, Serve, serving

PATHS = ("/metrics", "/monitoring/prometheus/metrics")


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving(*(f"--model={name}={FIXTURES}/tiny_int8.tflite" for name in "ab")) as running:
        for count in (1, 5):
            body = json.dumps({"instances": np.zeros((count, 8, 8, 1)).tolist()})
            asked = requests.post(f"{running.url}/v1/models/a:predict", data=body, timeout=20)
            assert asked.status_code == 200
        yield running


def read(serve: Serve, path: str = PATHS[0]) -> dict[str, Metric]:
    reply = requests.get(serve.url + path, timeout=20)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(reply.text)}


def value(family: Metric, **labels: str) -> float:
    (found,) = (one.value for one in family.samples if labels.items() <= one.labels.items())
    return float(found)


def test_both_paths_tell_the_same(serve: Serve) -> None:
    ours, theirs = (read(serve, path) for path in PATHS)
    assert list(ours) == list(theirs)
    assert value(ours["littoral_info"], version=__version__) == 1


def test_requests_and_instances_are_counted(serve: Serve) -> None:
    found = read(serve)
    assert value(found["littoral_models"]) == 2
    for model, requests_, instances in (("a", 2, 6), ("b", 0, 0)):
        assert value(found["littoral_requests"], model=model, release="1") == requests_
        assert value(found["littoral_instances"], model=model, variant="local") == instances
        assert value(found["littoral_request_errors"], model=model) == 0
        assert value(found["littoral_queue_requests"], model=model) == 0
        for reason in ("overloaded", "late"):
            assert value(found["littoral_requests_refused"], model=model, reason=reason) == 0
    assert found["littoral_requests"].type == "counter"


def test_releases_are_told(serve: Serve) -> None:
    found = read(serve)
    assert value(found["littoral_release_info"], model="a", release="1", label="1") == 1
    assert value(found["littoral_release_start_time_seconds"], model="a") > 1.6e9


def test_what_was_unloaded_for_room_is_told(tmp_path: Path) -> None:
    settings = tmp_path / "serve.toml"
    settings.write_text("memory_bytes = 1\n")
    options = [f"--model={name}={FIXTURES}/tiny_int8.tflite" for name in "ab"]
    with serving("--settings", str(settings), *options) as crowded:
        family = read(crowded)["littoral_release_loaded"]
        assert sorted(one.value for one in family.samples) == [0, 1]


def test_each_stage_is_a_histogram(serve: Serve) -> None:
    family = read(serve)["littoral_stage_seconds"]
    assert family.type == "histogram"
    for stage, count in zip(STAGES, (2, 2, 6, 2), strict=True):
        of = {"model": "a", "stage": stage}
        mine = [one for one in family.samples if of.items() <= one.labels.items()]
        buckets = [one.value for one in mine if one.name.endswith("_bucket")]
        assert buckets == sorted(buckets)
        (total,) = (one.value for one in mine if one.name.endswith("_count"))
        (seconds,) = (one.value for one in mine if one.name.endswith("_sum"))
        assert total == buckets[-1] == count
        assert 0 <= seconds < 20


def test_the_process_is_told_as_prometheus_own_libraries_do(serve: Serve) -> None:
    found = read(serve)
    told = value(found["process_resident_memory_bytes"]) / 1024
    assert told == pytest.approx(serve.kib(), rel=0.1)
    assert value(found["process_cpu_seconds"]) > 0
    assert 3 < value(found["process_open_fds"]) < value(found["process_max_fds"])
    assert value(found["process_virtual_memory_bytes"]) > 1024 * told
    began = Path(f"/proc/{serve.process.pid}").stat().st_mtime
    assert value(found["process_start_time_seconds"]) == pytest.approx(began, abs=300)


def test_they_are_looked_at_and_not_changed(serve: Serve) -> None:
    assert requests.post(serve.url + PATHS[0], timeout=20).status_code == 405
    head = requests.head(serve.url + PATHS[0], timeout=20)
    assert (head.status_code, head.text) == (200, "")


def bounds(sketch: Sketch) -> list[tuple[float, float]]:
    samples = metrics.histogram(sketch, "")
    return [(float(labels.split('"')[1]), n) for name, labels, n in samples if name == "_bucket"]


@given(st.lists(st.integers(-700, 2000), max_size=50), st.floats(0.01, 0.99))
def test_no_value_is_counted_where_it_is_not(buckets: list[int], within: float) -> None:
    """Bounds are the sketch's own: what is below one is counted below it, whatever it is."""
    values = [2 ** ((bucket + within) / 2**SCALE) for bucket in buckets]
    sketch = Sketch()
    for us in values:
        sketch.record(us)
    for bound, count in bounds(sketch):
        assert count == sum(us / 1e6 < bound for us in values)


def test_bounds_are_the_sketchs_own() -> None:
    own = [2 ** (n / 2**SCALE) / 1e6 for n in range(32 * 30)]
    for bound, _ in bounds(Sketch())[:-1]:
        assert any(math.isclose(bound, one, rel_tol=1e-8) for one in own)


def test_quotes_and_line_ends_in_a_label_are_escaped() -> None:
    text = f"x{{{metrics._labels(label=chr(92) + chr(34) + chr(10))}}} 1\n"
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"label": '\\"\n'}
