"""How much memory serve takes with the model that the figures are promised for."""

import json
from pathlib import Path

import numpy as np
import pytest

from littoral.wire.control import Activated
from simulators.served import Device, ask, order, serving

pytestmark = pytest.mark.slow
MODEL = Path(__file__).parents[3] / "shared/models/coral/mobilenet_v1_0.25_128_quant.tflite"
MOST_MIB = 60
MOST_GROWTH_MIB = 5


@pytest.mark.skipif(not MODEL.exists(), reason="MobileNet 0.25 is not beside this checkout")
def test_two_releases_and_what_large_requests_leave_fit_into_the_figures(tmp_path: Path) -> None:
    data = MODEL.read_bytes()
    device = Device(tmp_path / "data")
    one, two = (device.add("m", release=n, data=data, golden_of=data) for n in (1, 2))
    device.good(one)
    (spec,) = one.manifest.inputs
    rows = np.random.default_rng(0).integers(0, 255, spec.shape).tolist()
    bodies = [{"instances": rows}, {"instances": [{spec.name: row} for row in rows]}]
    assert len(json.dumps(bodies[0])) > 200_000
    with serving(f"--data={device.tree.root}") as serve:
        order(device, "activate", Activated, two.order)
        before = serve.kib() / 1024
        for k in range(200):
            body = bodies[k % len(bodies)]
            assert ask(device.tree.serve, "POST", "/v1/models/m:predict", body)[0] == 200
        after = serve.kib() / 1024
    # A library's pages are mapped many at a time, by what of it was read last: 2 MiB more or less.
    assert before <= MOST_MIB
    assert after - before <= MOST_GROWTH_MIB
