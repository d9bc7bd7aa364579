"""TensorFlow Serving's services over gRPC, asked through its own client's stubs."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest

from littoral.model import tensors
from littoral_serve.protocols.rpc import tensor_protos
from littoral_serve.protocols.servables import DATA_TYPES
from simulators import public_messages
from simulators.served import Serve, expected, images, named, serving, tiny

NAMES = ("tiny_int8", "tiny_float", "two_int8", "slope_float", "picky")


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving("--grpc", "127.0.0.1:0", *named(*NAMES)) as running:
        yield running


@pytest.fixture(scope="module")
def client(serve: Serve) -> Iterator[Any]:
    """The stubs and messages of tensorflow-serving-api, over one channel."""
    public = public_messages.tensorflow_serving()
    with grpc.insecure_channel(serve.ready["grpc"]) as channel:
        yield SimpleNamespace(
            prediction=public["prediction_service_grpc"].PredictionServiceStub(channel),
            models=public["model_service_grpc"].ModelServiceStub(channel),
            **public,
        )


def tensor(x: Any, *, content: bool = True) -> Any:
    """A TensorProto as TensorFlow's make_tensor_proto makes it."""
    proto = public_messages.message_class("tensorflow.TensorProto")()
    proto.dtype = DATA_TYPES[x.dtype.name][1]
    for n in x.shape:
        proto.tensor_shape.dim.add().size = n
    if content:
        proto.tensor_content = x.tobytes()
    else:
        getattr(proto, tensor_protos.FIELDS[x.dtype.name]).extend(x.ravel().tolist())
    return proto


def predict(client: Any, name: str, inputs: dict[str, Any], **spec: Any) -> Any:
    request = client.predict.PredictRequest()
    request.model_spec.name = name
    for key, value in spec.items():
        if key == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, key, value)
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(value)
    return request


def refused(call: Any, request: Any, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.RpcError) as told:
        call(request, timeout=20)
    assert told.value.code() is code, told.value.details()
    return str(told.value.details())


@pytest.mark.parametrize("content", [True, False])
def test_predictions_are_the_runtimes_in_the_field_of_their_type(
    client: Any,
    content: bool,  # noqa: FBT001 (pytest passes by name)
) -> None:
    x = images(3)
    request = predict(client, "tiny-int8", {"image": tensor(x, content=content)})
    response = client.prediction.Predict(request, timeout=20)
    assert response.model_spec.name == "tiny-int8"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    (output,) = response.outputs.values()
    assert output.dtype == 1
    assert [dim.size for dim in output.tensor_shape.dim] == [3, 10]
    assert np.array_equal(np.array(output.float_val, np.float32).reshape(3, 10), expected(x))


def test_the_raw_signature_shows_what_is_stored(client: Any) -> None:
    stored = tensors.quantize(images(1), tiny().inputs[0])
    for content in (True, False):
        given = {"image": tensor(stored, content=content)}
        request = predict(client, "tiny-int8", given, signature_name="raw")
        (output,) = client.prediction.Predict(request, timeout=20).outputs.values()
        assert output.dtype == 6
        assert list(output.int_val) == tiny().run(stored)[0][0].tolist()


def test_one_value_stands_for_all_that_follow(client: Any) -> None:
    given = tensor(np.zeros((1, 8, 8, 1), np.float32), content=False)
    del given.float_val[:]
    given.float_val.extend([0.25, 0.5])
    x = np.full((1, 8, 8, 1), 0.5, np.float32)
    x[0, 0, 0, 0] = 0.25
    request = predict(client, "tiny-int8", {"image": given})
    (output,) = client.prediction.Predict(request, timeout=20).outputs.values()
    assert np.array_equal(np.array(output.float_val, np.float32), expected(x)[0])


def test_outputs_may_be_chosen(client: Any) -> None:
    pair = {"left": np.ones((2, 4), np.float32), "right": np.zeros((2, 3), np.float32)}
    request = predict(client, "two-int8", {k: tensor(v) for k, v in pair.items()})
    every = client.prediction.Predict(request, timeout=20).outputs
    names = sorted(every)
    assert len(names) == 2
    request.output_filter.append(names[1])
    chosen = client.prediction.Predict(request, timeout=20).outputs
    assert list(chosen) == [names[1]]
    assert chosen[names[1]] == every[names[1]]
    request.output_filter.append(names[1])
    assert "duplicate output tensor alias" in refused(
        client.prediction.Predict, request, grpc.StatusCode.INVALID_ARGUMENT
    )
    request.output_filter[:] = ["nothing"]
    assert "output tensor alias not found in signature: nothing" in refused(
        client.prediction.Predict, request, grpc.StatusCode.INVALID_ARGUMENT
    )


def test_a_version_is_a_release_and_a_label_its_label(client: Any) -> None:
    given = {"image": tensor(images(1))}
    for spec in ({"version": 1}, {"version_label": "1"}):
        client.prediction.Predict(predict(client, "tiny-int8", given, **spec), timeout=20)
    call, invalid = client.prediction.Predict, grpc.StatusCode.INVALID_ARGUMENT
    missing = grpc.StatusCode.NOT_FOUND
    request = predict(client, "tiny-int8", given, version=7)
    words = refused(call, request, missing)
    assert words == "Servable not found for request: Specific(tiny-int8, 7)"
    request = predict(client, "tiny-int8", given, version=0)  # which no byte says
    words = refused(call, request, missing)
    assert words == "Servable not found for request: Specific(tiny-int8, 0)"
    words = refused(call, predict(client, "none", given), missing)
    assert words == "Servable not found for request: Latest(none)"
    request = predict(client, "tiny-int8", given, version_label="canary")
    assert refused(call, request, invalid) == "Unrecognized servable version label: canary"
    assert refused(call, predict(client, "", given), invalid) == "ModelSpec has no name specified."
    assert refused(call, client.predict.PredictRequest(), invalid) == "Missing ModelSpec"
    request = predict(client, "tiny-int8", given, signature_name="x")
    words = refused(call, request, grpc.StatusCode.FAILED_PRECONDITION)
    assert words == 'Serving signature key "x" not found.'


def test_what_is_wrong_with_tensors_is_said(client: Any) -> None:
    x = images(1)
    good = tensor(x)
    short = tensor(x)
    short.tensor_content = b"1234"
    many = tensor(x, content=False)
    many.float_val.append(1)
    huge = tensor(x, content=False)
    huge.tensor_shape.dim[0].size = 2**40
    unknown = tensor(x)
    unknown.tensor_shape.unknown_rank = True
    bad = tensor(x)
    bad.dtype = 7
    wide = tensor(np.full((1, 8, 8, 1), 300, np.int32), content=False)
    wide.dtype = 6
    nan = tensor(np.full((1, 8, 8, 1), np.nan, np.float32))
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "input size does not match signature: 0!=1 len({}) != len({image}). Sent extra: {}."),
        ({"image": good, "x": good}, "Sent extra: {x}. Missing but required: {}."),
        ({"x": good}, "not found in signature: x. Inputs expected to be in the set {image}."),
        ({"image": tensor(x[0])}, "image: Expecting shape [8,8,8,1] but got: [8,8,1]"),
        ({"image": tensor(x.astype(np.uint8))}, "to be float but uint8 is provided"),
        ({"image": bad}, "Expects it to be float but another type is provided"),
        (
            {"image": short},
            "parsing error: image: expected float in shape [1,8,8,1], found 4 bytes",
        ),
        ({"image": many}, "expected the values of shape [1,8,8,1], found 65"),
        ({"image": huge}, "expected the values of shape [1099511627776,8,8,1], found 64"),
        ({"image": unknown}, "its shape is not known"),
        ({"image": nan}, "image: NaN cannot be stored as int8"),
    ]
    for inputs, words in cases:
        told = refused(
            client.prediction.Predict,
            predict(client, "tiny-int8", inputs),
            grpc.StatusCode.INVALID_ARGUMENT,
        )
        assert words in told
    request = predict(client, "tiny-int8", {"image": wide}, signature_name="raw")
    told = refused(client.prediction.Predict, request, grpc.StatusCode.INVALID_ARGUMENT)
    assert told == "input image: a value does not fit in int8"


def test_a_model_that_fails_is_the_servers_fault(client: Any) -> None:
    rows = tensor(np.array([2, 7], np.int32))
    told = refused(
        client.prediction.Predict,
        predict(client, "picky", {"rows": rows}),
        grpc.StatusCode.INTERNAL,
    )
    assert "gather index out of bounds" in told


def example(**features: Any) -> Any:
    made = public_messages.message_class("tensorflow.Example")()
    for name, value in features.items():
        feature = made.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif value.dtype.kind == "f":
            feature.float_list.value.extend(value.ravel().tolist())
        else:
            feature.int64_list.value.extend(value.ravel().tolist())
    return made


def test_examples_are_classified(client: Any) -> None:
    x = images(2)
    request = client.classification.ClassificationRequest()
    request.model_spec.name = "tiny-int8"
    request.input.example_list.examples.extend(example(image=one) for one in x)
    response = client.prediction.Classify(request, timeout=20)
    assert response.model_spec.signature_name == "serving_default"
    found = response.result.classifications
    assert [[one.label for one in row.classes] for row in found] == [list("0123456789")] * 2
    got = np.array([[one.score for one in row.classes] for row in found], np.float32)
    assert np.array_equal(got, expected(x))


def test_context_and_bytes_are_read(client: Any) -> None:
    x = images(1)
    request = client.classification.ClassificationRequest()
    request.model_spec.name = "tiny-int8"
    held = request.input.example_list_with_context
    held.context.CopyFrom(example(image=x[0].tobytes()))
    held.examples.extend([example(), example()])
    found = client.prediction.Classify(request, timeout=20).result.classifications
    assert len(found) == 2
    assert [one.score for one in found[1].classes] == expected(x)[0].tolist()


def test_examples_are_regressed(client: Any) -> None:
    request = client.regression.RegressionRequest()
    request.model_spec.name = "slope-float"
    examples = [[4.0, 1.0], [0.0, 2.5]]
    request.input.example_list.examples.extend(example(x=np.array(one)) for one in examples)
    found = client.prediction.Regress(request, timeout=20).result.regressions
    assert [one.value for one in found] == [2.0, -1.5]
    request.model_spec.name = "tiny-int8"
    assert "Expected output Tensor shape to be either" in refused(
        client.prediction.Regress, request, grpc.StatusCode.INVALID_ARGUMENT
    )
    empty = client.regression.RegressionRequest()
    empty.model_spec.name = "slope-float"
    call = client.prediction.Regress
    assert refused(call, empty, grpc.StatusCode.INVALID_ARGUMENT) == "Input is empty."


def multi(client: Any, *tasks: tuple[str, str, str]) -> Any:
    request = client.inference.MultiInferenceRequest()
    for name, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = name, signature
    request.input.example_list.examples.append(example(x=np.array([4.0, 1.0])))
    return request


def test_one_request_asks_several_signatures(client: Any) -> None:
    classify, regress = "tensorflow/serving/classify", "tensorflow/serving/regress"
    request = multi(client, ("slope-float", "", regress), ("slope-float", "float", classify))
    first, second = client.prediction.MultiInference(request, timeout=20).results
    assert [one.value for one in first.regression_result.regressions] == [2.0]
    (row,) = second.classification_result.classifications
    assert [(one.label, one.score) for one in row.classes] == [("0", 2.0)]
    assert second.model_spec.signature_name == "float"
    call, invalid = client.prediction.MultiInference, grpc.StatusCode.INVALID_ARGUMENT
    twice = multi(client, ("slope-float", "", regress), ("slope-float", "", classify))
    told = refused(call, twice, invalid)
    assert told == "Duplicate evaluation of signature: serving_default"
    other = multi(client, ("slope-float", "", regress), ("tiny-int8", "raw", classify))
    assert "must access the same model name" in refused(call, other, invalid)
    nameless = multi(client, ("", "", regress))
    assert refused(call, nameless, invalid) == "Found ModelSpec with an empty model name."
    odd = multi(client, ("slope-float", "", "tensorflow/serving/predict"))
    assert "Unsupported signature method_name" in refused(call, odd, grpc.StatusCode.UNIMPLEMENTED)


def test_metadata_lists_signatures_and_shapes(client: Any) -> None:
    request = client.get_model_metadata.GetModelMetadataRequest()
    request.model_spec.name = "tiny-int8"
    call, invalid = client.prediction.GetModelMetadata, grpc.StatusCode.INVALID_ARGUMENT
    assert "at least one metadata_field" in refused(call, request, invalid)
    request.metadata_field.append("signature_def")
    response = call(request, timeout=20)
    assert (response.model_spec.name, response.model_spec.version.value) == ("tiny-int8", 1)
    found = client.get_model_metadata.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert sorted(found.signature_def) == ["float", "image", "raw", "serving_default"]
    usual = found.signature_def["serving_default"]
    assert usual.method_name == "tensorflow/serving/predict"
    image = usual.inputs["image"]
    assert (image.dtype, [dim.size for dim in image.tensor_shape.dim]) == (1, [-1, 8, 8, 1])
    assert found.signature_def["raw"].inputs["image"].dtype == 6
    request.metadata_field[:] = ["other"]
    assert refused(call, request, invalid) == "Metadata field other is not supported"


def test_status_is_told_and_no_client_reloads(client: Any) -> None:
    request = client.get_model_status.GetModelStatusRequest()
    request.model_spec.name = "tiny-int8"
    (one,) = client.models.GetModelStatus(request, timeout=20).model_version_status
    assert (one.version, one.state, one.status.error_code) == (1, 30, 0)
    request.model_spec.version.value = 3
    told = refused(client.models.GetModelStatus, request, grpc.StatusCode.NOT_FOUND)
    assert told == "Could not find version 3 of model tiny-int8"
    reload = public_messages.message_class("tensorflow.serving.ReloadConfigRequest")()
    told = refused(
        client.models.HandleReloadConfigRequest, reload, grpc.StatusCode.PERMISSION_DENIED
    )
    assert "by the device's agent alone" in told
