"""Pictures over gRPC, by the stubs of TensorFlow Serving's client and by Triton's."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

from patience import patient
from simulators import detectors, public_messages
from simulators.served import FIXTURES, Device, Serve, serving

SQUARES = detectors.picture()
FOUND = [[b"blue", b"red"]]
# A keyword spotter, whose spectrum has the shape of a gray picture.
KWS = Path(__file__).parents[3] / "shared/models/mlperf_tiny/kws_ref_model_int8.tflite"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    device = Device(tmp_path_factory.mktemp("device"))
    device.good(detectors.release(device))
    digits = f"--model=digits={FIXTURES / 'tiny_int8.tflite'}"
    options = [digits, f"--model=two={FIXTURES / 'two_int8.tflite'}"]
    if KWS.is_file():
        options.append(f"--model=words={KWS}")
    with serving("--data", str(device.tree.root), "--grpc", "127.0.0.1:0", *options) as one:
        yield one


@pytest.fixture(scope="module")
def triton_client(serve: Serve) -> Iterator[Any]:
    with triton.InferenceServerClient(serve.ready["grpc"]) as one:
        yield one


@pytest.fixture(scope="module")
def stub(serve: Serve) -> Iterator[Any]:
    public = public_messages.tensorflow_serving()
    with grpc.insecure_channel(serve.ready["grpc"]) as channel:
        yield public["prediction_service_grpc"].PredictionServiceStub(channel)


def message(name: str) -> Any:
    return public_messages.message_class(f"tensorflow.serving.{name}")()


def predict(*files: bytes, model: str = "squares", name: str = "image_bytes") -> Any:
    request = message("PredictRequest")
    request.model_spec.name, request.model_spec.signature_name = model, "image"
    given = request.inputs[name]
    given.dtype = 7
    given.tensor_shape.dim.add().size = len(files)
    given.string_val.extend(files)
    return request


def given(*files: bytes) -> Any:
    one = triton.InferInput("image_bytes", [len(files)], "BYTES")
    one.set_data_from_numpy(np.array(files, object))
    return one


def test_tensorflows_client_sends_strings_under_the_signature(stub: Any) -> None:
    reply = stub.Predict(predict(SQUARES), timeout=patient(20))
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("squares", 1)
    assert list(reply.outputs["detection_classes_as_text"].string_val) == FOUND[0]
    assert list(reply.outputs["num_detections"].int64_val) == [2]
    boxes = reply.outputs["detection_boxes"]
    assert [dim.size for dim in boxes.tensor_shape.dim] == [1, 2, 4]
    assert list(boxes.float_val)[4:] == pytest.approx([0.125, 0.25, 0.5, 0.625])
    request = predict(SQUARES, SQUARES)
    request.output_filter.append("num_detections")
    reply = stub.Predict(request, timeout=patient(20))
    assert list(reply.outputs) == ["num_detections"]
    assert list(reply.outputs["num_detections"].int64_val) == [2, 2]


def test_metadata_tells_the_signature(stub: Any) -> None:
    models = [("squares", True), ("two", False), *([("words", False)] if KWS.is_file() else [])]
    for model, takes in models:
        request = message("GetModelMetadataRequest")
        request.model_spec.name = model
        request.metadata_field.append("signature_def")
        reply = stub.GetModelMetadata(request, timeout=patient(20))
        found = message("SignatureDefMap")
        assert reply.metadata["signature_def"].Unpack(found)
        assert ("image" in found.signature_def) == takes
        if takes:
            outputs = found.signature_def["image"].outputs
            assert outputs["detection_classes_as_text"].dtype == 7
            assert [d.size for d in outputs["detection_boxes"].tensor_shape.dim] == [-1, -1, 4]


def test_classify_takes_examples_of_files(stub: Any) -> None:
    out = io.BytesIO()
    Image.new("L", (8, 8), 200).save(out, "PNG")
    request = message("ClassificationRequest")
    request.model_spec.name = "digits"
    example = request.input.example_list.examples.add()
    example.features.feature["image/encoded"].bytes_list.value.append(out.getvalue())
    reply = stub.Classify(request, timeout=patient(20))
    (found,) = reply.result.classifications
    scores = [one.score for one in found.classes]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert found.classes[0].label in set("0123456789")


@pytest.mark.parametrize(
    ("files", "how", "why"),
    [
        ([b"no picture"], {}, "expected a picture"),
        ([], {}, "expected 1 to "),
        ([SQUARES], {"name": "picture"}, "expected one input, image_bytes, of type string"),
        ([SQUARES], {"model": "two"}, "takes no pictures"),
    ],
)
def test_a_mistake_is_an_invalid_argument(
    stub: Any, files: list[bytes], how: dict[str, str], why: str
) -> None:
    with pytest.raises(grpc.RpcError) as told:
        stub.Predict(predict(*files, **how), timeout=patient(20))
    assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert why in told.value.details()


def test_an_output_that_there_is_not_is_told(stub: Any, triton_client: Any) -> None:
    request = predict(SQUARES)
    request.output_filter.append("scores")
    with pytest.raises(grpc.RpcError, match="output tensor alias not found"):
        stub.Predict(request, timeout=patient(20))
    with pytest.raises(InferenceServerException, match="unexpected inference output 'scores'"):
        triton_client.infer(
            "squares", [given(SQUARES)], outputs=[triton.InferRequestedOutput("scores")]
        )


def test_tritons_client_sends_bytes(triton_client: Any) -> None:
    reply = triton_client.infer("squares", [given(SQUARES, SQUARES)], request_id="7")
    assert reply.get_response().id == "7"
    assert reply.as_numpy("detection_classes_as_text").tolist() == FOUND * 2
    assert reply.as_numpy("detection_boxes").shape == (2, 2, 4)
    wanted = [triton.InferRequestedOutput("num_detections")]
    reply = triton_client.infer("squares", [given(SQUARES)], outputs=wanted, parameters={"top": 1})
    assert reply.as_numpy("num_detections").tolist() == [1]
    assert reply.as_numpy("detection_boxes") is None
    for wrong, why in ((given(b"no picture"), "expected a picture"), (given(), "expected 1 to")):
        with pytest.raises(InferenceServerException, match=why):
            triton_client.infer("squares", [wrong])


def test_bytes_may_come_one_by_one(serve: Serve) -> None:
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    with grpc.insecure_channel(serve.ready["grpc"]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        one = service_pb2.ModelInferRequest(model_name="squares")
        tensor = one.inputs.add(name="image_bytes", datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(SQUARES)
        reply = stub.ModelInfer(one, timeout=patient(20))
    names = [output.name for output in reply.outputs]
    raw = dict(zip(names, reply.raw_output_contents, strict=True))
    assert np.frombuffer(raw["num_detections"], np.int64).tolist() == [2]


def test_a_mask_is_the_same_as_over_http() -> None:
    path = Path(__file__).parents[3] / "shared/models/coral/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    if not path.is_file():
        pytest.skip("needs the shared models and pictures")
    file = (path.parents[2] / "data/images/cat.bmp").read_bytes()
    with serving("--grpc", "127.0.0.1:0", f"--model=masks={path}") as one:
        with triton.InferenceServerClient(one.ready["grpc"]) as client:
            mask = client.infer("masks", [given(file)]).as_numpy("mask_bytes")[0]
        headers = {"Content-Type": "image/bmp"}
        url = f"{one.url}/v1/models/masks:predict"
        (row,) = requests.post(url, file, headers=headers, timeout=patient(20)).json()[
            "predictions"
        ]
    assert base64.b64decode(row["mask_bytes"]["b64"]) == mask
