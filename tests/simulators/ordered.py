"""The agent's orders to a real serve, and what a client of it hears."""

from typing import Any

import numpy as np
import requests

from littoral import records
from littoral.model import tensors
from littoral.model.backends import open_session
from littoral.wire.control import Activated, Serving
from simulators.served import Device, Release, Serve, ask, model, noise, order


def image() -> Any:
    (sample,) = noise(open_session("litert", model("tiny_int8")).inputs, 1)
    return sample[0]


def answer(data: bytes) -> Any:
    """Return what a client must get for image() from the model ``data``."""
    session = open_session("litert", data)
    return tensors.dequantize(session.run(image())[0], session.outputs[0])


def body(count: int = 1) -> dict[str, Any]:
    return {"signature_name": "raw", "instances": image().tolist() * count}


def predict(serve: Serve) -> Any:
    """Return the reply to image() as float32, which JSON keeps to the last bit."""
    spec = open_session("litert", model("tiny_int8")).inputs[0]
    request = {"instances": tensors.dequantize(image(), spec).tolist()}
    response = requests.post(f"{serve.url}/v1/models/digits:predict", json=request, timeout=20)
    assert response.status_code == 200, response.text
    return np.array(response.json()["predictions"], np.float32)


def runs(serve: Serve, name: str) -> bool:
    return bool(np.array_equal(predict(serve), answer(model(name))))


def activate(device: Device, release: Release) -> Activated:
    return order(device, "activate", Activated, release.order)


def state(device: Device) -> Serving:
    status, reply = ask(device.tree.control, "GET", "/control/state")
    assert status == 200
    return records.fill(Serving, reply)


def denied(device: Device, call: str, wanted: object) -> tuple[int, str]:
    status, reply = ask(device.tree.control, "POST", f"/control/{call}", wanted)
    return status, reply["code"]


def running(device: Device) -> dict[str, int]:
    return {one.model: one.release for one in state(device).models}
