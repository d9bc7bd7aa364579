"""The snippets that TensorFlow Serving's users have in their programs, with the real packages.

TensorFlow takes seconds and a process of its own; all of it is asked in one.
"""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from littoral.model import tensors
from littoral.model.backends import open_session
from simulators.served import FIXTURES, model, serving

GRPC = """
import json, sys
import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2, get_model_status_pb2, model_service_pb2_grpc, predict_pb2,
    prediction_service_pb2_grpc,
)

channel = grpc.insecure_channel(sys.argv[1])
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
data = np.array(json.loads(sys.argv[2]), np.float32)

request = predict_pb2.PredictRequest()
request.model_spec.name = "digits"
request.model_spec.signature_name = "serving_default"
request.inputs["image"].CopyFrom(tf.make_tensor_proto(data, shape=data.shape))
result = stub.Predict(request, 10.0)  # 10 secs timeout
whole = tf.make_ndarray(result.outputs["output_0"])
values = np.array(result.outputs["output_0"].float_val)
waiting = stub.Predict.future(request, 5.0)
assert waiting.result().outputs["output_0"] == result.outputs["output_0"]

request = classification_pb2.ClassificationRequest()
request.model_spec.name = "digits"
example = tf.train.Example(features=tf.train.Features(feature={
    "image": tf.train.Feature(float_list=tf.train.FloatList(value=data[0].ravel()))}))
request.input.example_list.examples.extend([example])
classes = stub.Classify(request, 10.0).result.classifications[0].classes

request = get_model_status_pb2.GetModelStatusRequest()
request.model_spec.name = "digits"
status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, 10.0)

print(json.dumps({
    "whole": whole.tolist(), "values": values.tolist(),
    "classes": [[one.label, one.score] for one in classes],
    "state": [int(one.state) for one in status.model_version_status],
}))
"""

REST = """
import json, sys
import requests

data = json.dumps({"signature_name": "serving_default", "instances": json.loads(sys.argv[2])})
headers = {"content-type": "application/json"}
url = "http://" + sys.argv[1] + "/v1/models/digits:predict"
json_response = requests.post(url, data=data, headers=headers)
print(json.dumps(json.loads(json_response.text)["predictions"]))
"""


def said(code: str, address: str, x: object) -> object:
    found = subprocess.run(
        [sys.executable, "-c", code, address, json.dumps(x)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorflow_serving") is None, reason="no tensorflow-serving-api")
def test_the_snippets_of_the_tutorials_run_as_they_are() -> None:
    session = open_session("litert", model("tiny_int8"))
    (given,), (seen,) = session.inputs, session.outputs
    x = np.random.default_rng(4).random((2, 8, 8, 1), np.float32)
    rows = [session.run(tensors.quantize(one[None], given))[0] for one in x]
    want = np.concatenate([tensors.dequantize(row, seen) for row in rows]).tolist()
    with serving("--grpc", "127.0.0.1:0", f"--model=digits={FIXTURES}/tiny_int8.tflite") as serve:
        assert said(REST, serve.ready["http"], x.tolist()) == want
        found = said(GRPC, serve.ready["grpc"], x.tolist())
    assert found == {
        "whole": want,
        "values": [value for row in want for value in row],
        "classes": [[str(k), score] for k, score in enumerate(want[0])],
        "state": [30],
    }
