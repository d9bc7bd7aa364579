"""A budget of memory in a serve that runs: clients see nothing of who is unloaded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from littoral import records
from littoral.model.backends import open_session
from littoral.wire.control import Activated, Serving, Tried
from simulators.served import Device, Release, Serve, ask, model, noise, order, serving

MODELS = {"one": "tiny_int8", "two": "tiny_int8_b", "three": "tiny_int8"}


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def releases(device: Device) -> dict[str, Release]:
    made = {
        name: device.add(name, data=model(file), golden_of=model(file))
        for name, file in MODELS.items()
    }
    for release in made.values():
        device.good(release)
    return made


@pytest.fixture
def serve(device: Device, releases: dict[str, Release]) -> Iterator[Serve]:
    """One that has room for a single model, beside the one that is pinned."""
    assert releases
    settings = device.tree.root / "serve.toml"
    settings.write_text('memory_bytes = 15000\npinned = ["three"]\n')
    with serving(f"--data={device.tree.root}") as running:
        yield running


def image() -> Any:
    return noise(open_session("litert", model("tiny_int8")).inputs, 1)[0][0]


def asked(device: Device, name: str) -> tuple[int, Any]:
    body = {"signature_name": "raw", "instances": image().tolist()}
    status, reply = ask(device.tree.serve, "POST", f"/v1/models/{name}:predict", body)
    return status, reply.get("predictions", reply)


def wanted(name: str) -> Any:
    session = open_session("litert", model(MODELS[name]))
    return session.run(image())[0].tolist()


def state(device: Device) -> Serving:
    status, reply = ask(device.tree.control, "GET", "/control/state")
    assert status == 200
    return records.fill(Serving, reply)


@pytest.mark.usefixtures("serve")
def test_every_model_answers_though_not_all_fit(device: Device) -> None:
    for name in ("one", "two", "three", "two", "one", "one", "two"):
        assert asked(device, name) == (200, wanted(name))
    told = state(device)
    assert {one.model: one.requests for one in told.models} == {"one": 3, "two": 3, "three": 1}
    assert all(one.errors == 0 for one in told.models)


@pytest.mark.usefixtures("serve")
def test_many_at_once_are_all_answered(device: Device) -> None:
    names = list(MODELS) * 20
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda name: asked(device, name), names))
    assert answers == [(200, wanted(name)) for name in names]


@pytest.mark.usefixtures("serve")
def test_one_that_cannot_come_back_fails_alone(
    device: Device, releases: dict[str, Release]
) -> None:
    asked(device, "two")  # and the other sleeps
    blob = device.tree.blob(releases["one"].manifest.files["model.tflite"].sha256)
    kept = blob.read_bytes()
    blob.write_bytes(kept[:-1])
    status, reply = asked(device, "one")
    assert status == 500
    assert "one cannot be loaded again" in str(reply)
    assert asked(device, "two") == (200, wanted("two"))
    blob.write_bytes(kept)
    assert asked(device, "one") == (200, wanted("one"))


@pytest.mark.usefixtures("serve")
def test_what_sleeps_is_probed_and_replaced_as_ever(
    device: Device, releases: dict[str, Release]
) -> None:
    asked(device, "two")
    probed = order(device, "probe", Tried, {"model": "one"})
    assert (probed.code, probed.max_abs) == (None, 0.0)
    asked(device, "two")
    data = model("tiny_int8_b")
    later = device.add("one", release=2, data=data, golden_of=data)
    assert order(device, "activate", Activated, later.order).release == 2
    asked(device, "two")
    assert asked(device, "one") == (200, wanted("two"))
    assert order(device, "activate", Activated, releases["one"].order).release == 1
    assert asked(device, "one") == (200, wanted("one"))
