"""What a release answers is counted in its baseline's bins, off the request's path."""

import asyncio
import base64
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import requests

from littoral import records
from littoral.bundle.baseline import QUANTILES, Baseline, Confidence, Distribution
from littoral.bundle.manifest import Tensor
from littoral.model.backends import open_session
from littoral.wire import drift
from littoral.wire.control import Timings
from littoral.wire.sketch import Sketch
from littoral_serve.running.answers import Answers, counting
from simulators.served import Device, Serve, ask, model, serving

SPEC = Tensor(name="p", shape=(1, 3), dtype="int8", scale=1 / 256, zero_point=-128)
RANKED = Baseline(
    format=1,
    source="evaluation",
    samples=10,
    outputs=(Distribution(name="p", mean=0.3, std=0.1, quantiles={}),),
    answered=(5, 5, 0),
    confidence=Confidence(edges=(0.0, 0.5, 0.9, 1.0), counts=(1, 4, 5), mean=0.8),
)


def _made(baseline: Baseline, spec: Tensor = SPEC) -> Answers:
    found = counting(baseline, (spec,))
    assert found is not None
    return found


def _stored(*real: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.array([[round(x * 256) - 128 for x in real]], np.int8)


def test_classes_and_confidence_are_counted_in_the_baselines_bins() -> None:
    answers = _made(RANKED)
    answers.add((_stored(0.1, 0.95, 0.0),))
    answers.add((np.concatenate([_stored(0.4, 0.3, 0.3), _stored(0.0, 0.0, 0.7)]),))
    found = {kind: drift.counted(sketch) for kind, sketch in answers.close().items()}
    assert found == {"classes": {0: 1, 1: 1, 2: 1}, "confidence": {0: 1, 1: 1, 2: 1}}
    assert answers.close() == {}


def test_values_are_counted_between_the_quantiles_one_of_each_answer() -> None:
    steps = {str(q): float(n) for n, q in enumerate(QUANTILES)}
    outputs = (Distribution(name="y", mean=0.0, std=1.0, quantiles=steps),)
    baseline = Baseline(format=1, source="evaluation", samples=10, outputs=outputs)
    spec = Tensor(name="y", shape=(1, 2), dtype="float32")
    answers = _made(baseline, spec)
    answers.add((np.array([[0.0, 99.0], [0.0, 99.0]], np.float32),))
    assert drift.counted(answers.close()["values"]) == {0: 1, 7: 1}


def test_many_are_folded_by_the_loop_and_none_is_kept_alive() -> None:
    async def test() -> Answers:
        answers = _made(RANKED)
        for _ in range(1000):
            answers.add((_stored(0.1, 0.95, 0.0),))
        await asyncio.sleep(0)
        assert not answers._kept
        return answers

    assert drift.counted(asyncio.run(test()).close()["classes"]) == {1: 1000}


def test_what_ranks_nothing_and_has_no_quantiles_is_not_counted() -> None:
    bare = Baseline(format=1, source="evaluation", samples=10, outputs=RANKED.outputs)
    assert counting(bare, (SPEC,)) is None
    mask = Tensor(name="m", shape=(1, 513, 513, 21), dtype="float32")
    assert counting(RANKED, (mask,)) is None


def _baselined(device: Device, baseline: bytes) -> None:
    plain = device.add("digits").manifest
    files = {**plain.files, "baseline.json": device.blob(baseline)}
    device.good(device.put(replace(plain, files=files, baseline="baseline.json")))


def _ask(serve: Serve) -> None:
    spec = open_session("litert", model("tiny_int8")).inputs[0]
    body = {"instances": np.zeros(spec.shape).tolist()}
    reply = requests.post(f"{serve.url}/v1/models/digits:predict", json=body, timeout=20)
    assert reply.status_code == 200, reply.text


def test_a_release_with_a_baseline_tells_what_it_answers(tmp_path: Path) -> None:
    device = Device(tmp_path)
    (tmp_path / "serve.toml").write_text("window_s = 0.2\n")
    classes = int(np.prod(device.add("digits").manifest.outputs[0].shape[1:]))
    _baselined(device, records.to_json(replace(RANKED, answered=(1,) * classes)))
    counted: Counter[str] = Counter()
    with serving(f"--data={tmp_path}") as serve:
        for _ in range(5):
            _ask(serve)
        after = 0
        while counted["classes"] < 5:
            status, reply = ask(device.tree.control, "GET", f"/control/timings?after={after}")
            assert status == 200
            for window in records.fill(Timings, reply).windows:
                after = window.sequence
                for one in window.timings:
                    counted[one.stage] += Sketch.decode(base64.b64decode(one.sketch)).count
    assert counted["classes"] == counted["confidence"] == counted["invoke"] == 5


def test_a_baseline_that_is_none_costs_drift_and_no_request(tmp_path: Path) -> None:
    device = Device(tmp_path)
    _baselined(device, b"{}")
    with serving(f"--data={tmp_path}") as serve:
        _ask(serve)
