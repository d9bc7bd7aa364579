"""Requests of the Open Inference Protocol, as Triton's client makes them and by hand."""

import json
from typing import Any

import requests
import tritonclient.http as triton

from littoral.model.backends import Array
from patience import patient
from simulators.served import Serve


def tensor(x: Array, name: str = "image", kind: str = "FP32", *, binary: bool = True) -> Any:
    one = triton.InferInput(name, list(x.shape), kind)
    one.set_data_from_numpy(x, binary_data=binary)
    return one


def wanted(name: str = "output_0", **how: Any) -> Any:
    return triton.InferRequestedOutput(name, **how)


def post(serve: Serve, body: Any, path: str = "models/tiny-int8/infer", **how: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    return requests.post(f"{serve.url}/v2/{path}", data=data, timeout=patient(20), **how)


def asked(x: Array, **changes: Any) -> dict[str, Any]:
    """Return a request in JSON whose input is changed so."""
    one = {"name": "image", "shape": x.shape, "datatype": "FP32", "data": x.tolist()} | changes
    return {"inputs": [{key: value for key, value in one.items() if value is not None}]}
