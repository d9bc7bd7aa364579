"""Requests for warming up: the bytes that TensorFlow Serving's own protos write and read."""

import pytest

from littoral_converter.targets import warmup

# PredictionLog of tensorflow-serving-api 2.21, with a TensorProto of dtype 1 as the input "x".
PUBLIC = "32210a1f0a140a016d1a0f73657276696e675f64656661756c7412070a017812020801"


def test_a_request_is_what_the_public_protos_write() -> None:
    found = warmup.request(model="m", signature="serving_default", source="x", tensor=b"\x08\x01")
    assert found.hex() == PUBLIC


def test_lengths_beyond_a_byte_take_two() -> None:
    found = warmup.request(model="m", signature="s", source="x", tensor=bytes(300))
    assert b"\x12\xac\x02" + bytes(300) in found


def test_the_public_protos_read_it() -> None:
    apis = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="TensorFlow Serving's protos are not here: make judges",
    )
    found = apis.PredictionLog.FromString(bytes.fromhex(PUBLIC))
    asked = found.predict_log.request
    assert (asked.model_spec.name, list(asked.inputs)) == ("m", ["x"])
