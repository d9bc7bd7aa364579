"""The messages of TensorFlow Serving's services, as far as they are understood or made here.

Names and numbers are those of tensorflow_serving/apis and tensorflow/core; a test compares them
with what the public clients hold. What is not here is skipped.
"""

from typing import Final

from littoral_serve.protocols.rpc.tables import Message, bulk, by_name, one, several

INT64_VALUE: Final = Message("google.protobuf.Int64Value", value=one(1, "int64"))
ANY: Final = Message("google.protobuf.Any", type_url=one(1, "string"), value=one(2, "bytes"))

# Tensors

DIM: Final = Message("tensorflow.TensorShapeProto.Dim", size=one(1, "int64"))
SHAPE: Final = Message(
    "tensorflow.TensorShapeProto", dim=several(2, DIM), unknown_rank=one(3, "bool")
)
TENSOR: Final = Message(
    "tensorflow.TensorProto",
    dtype=one(1, "enum"),
    tensor_shape=one(2, SHAPE),
    tensor_content=one(4, "bytes"),
    float_val=bulk(5, "float"),
    double_val=bulk(6, "double"),
    int_val=bulk(7, "int32"),
    string_val=several(8, "bytes"),
    int64_val=bulk(10, "int64"),
    bool_val=bulk(11, "bool"),
    half_val=bulk(13, "int32"),
    uint32_val=bulk(16, "uint32"),
    uint64_val=bulk(17, "uint64"),
)

# Examples

BYTES_LIST: Final = Message("tensorflow.BytesList", value=several(1, "bytes"))
FLOAT_LIST: Final = Message("tensorflow.FloatList", value=bulk(1, "float"))
INT64_LIST: Final = Message("tensorflow.Int64List", value=bulk(1, "int64"))
FEATURE: Final = Message(
    "tensorflow.Feature",
    ("bytes_list", "float_list", "int64_list"),
    bytes_list=one(1, BYTES_LIST),
    float_list=one(2, FLOAT_LIST),
    int64_list=one(3, INT64_LIST),
)
FEATURES: Final = Message("tensorflow.Features", feature=by_name(1, FEATURE))
EXAMPLE: Final = Message("tensorflow.Example", features=one(1, FEATURES))
_SERVING: Final = "tensorflow.serving."
EXAMPLE_LIST: Final = Message(f"{_SERVING}ExampleList", examples=several(1, EXAMPLE))
EXAMPLES_WITH_CONTEXT: Final = Message(
    f"{_SERVING}ExampleListWithContext", examples=several(1, EXAMPLE), context=one(2, EXAMPLE)
)
INPUT: Final = Message(
    f"{_SERVING}Input",
    ("example_list", "example_list_with_context"),
    example_list=one(1, EXAMPLE_LIST),
    example_list_with_context=one(2, EXAMPLES_WITH_CONTEXT),
)

# PredictionService

MODEL_SPEC: Final = Message(
    f"{_SERVING}ModelSpec",
    ("version", "version_label"),
    name=one(1, "string"),
    version=one(2, INT64_VALUE),
    signature_name=one(3, "string"),
    version_label=one(4, "string"),
)
PREDICT_REQUEST: Final = Message(
    f"{_SERVING}PredictRequest",
    model_spec=one(1, MODEL_SPEC),
    inputs=by_name(2, TENSOR),
    output_filter=several(3, "string"),
)
PREDICT_RESPONSE: Final = Message(
    f"{_SERVING}PredictResponse", outputs=by_name(1, TENSOR), model_spec=one(2, MODEL_SPEC)
)
CLASS: Final = Message(f"{_SERVING}Class", label=one(1, "string"), score=one(2, "float"))
CLASSIFICATIONS: Final = Message(f"{_SERVING}Classifications", classes=several(1, CLASS))
CLASSIFICATION_RESULT: Final = Message(
    f"{_SERVING}ClassificationResult", classifications=several(1, CLASSIFICATIONS)
)
CLASSIFICATION_REQUEST: Final = Message(
    f"{_SERVING}ClassificationRequest", model_spec=one(1, MODEL_SPEC), input=one(2, INPUT)
)
CLASSIFICATION_RESPONSE: Final = Message(
    f"{_SERVING}ClassificationResponse",
    result=one(1, CLASSIFICATION_RESULT),
    model_spec=one(2, MODEL_SPEC),
)
REGRESSION: Final = Message(f"{_SERVING}Regression", value=one(1, "float"))
REGRESSION_RESULT: Final = Message(
    f"{_SERVING}RegressionResult", regressions=several(1, REGRESSION)
)
REGRESSION_REQUEST: Final = Message(
    f"{_SERVING}RegressionRequest", model_spec=one(1, MODEL_SPEC), input=one(2, INPUT)
)
REGRESSION_RESPONSE: Final = Message(
    f"{_SERVING}RegressionResponse",
    result=one(1, REGRESSION_RESULT),
    model_spec=one(2, MODEL_SPEC),
)
TASK: Final = Message(
    f"{_SERVING}InferenceTask", model_spec=one(1, MODEL_SPEC), method_name=one(2, "string")
)
RESULT: Final = Message(
    f"{_SERVING}InferenceResult",
    ("classification_result", "regression_result"),
    model_spec=one(1, MODEL_SPEC),
    classification_result=one(2, CLASSIFICATION_RESULT),
    regression_result=one(3, REGRESSION_RESULT),
)
MULTI_INFERENCE_REQUEST: Final = Message(
    f"{_SERVING}MultiInferenceRequest", tasks=several(1, TASK), input=one(2, INPUT)
)
MULTI_INFERENCE_RESPONSE: Final = Message(
    f"{_SERVING}MultiInferenceResponse", results=several(1, RESULT)
)

# What a model is, and how it is

TENSOR_INFO: Final = Message(
    "tensorflow.TensorInfo",
    name=one(1, "string"),
    dtype=one(2, "enum"),
    tensor_shape=one(3, SHAPE),
)
SIGNATURE_DEF: Final = Message(
    "tensorflow.SignatureDef",
    inputs=by_name(1, TENSOR_INFO),
    outputs=by_name(2, TENSOR_INFO),
    method_name=one(3, "string"),
)
SIGNATURE_DEF_MAP: Final = Message(
    f"{_SERVING}SignatureDefMap", signature_def=by_name(1, SIGNATURE_DEF)
)
METADATA_REQUEST: Final = Message(
    f"{_SERVING}GetModelMetadataRequest",
    model_spec=one(1, MODEL_SPEC),
    metadata_field=several(2, "string"),
)
METADATA_RESPONSE: Final = Message(
    f"{_SERVING}GetModelMetadataResponse",
    model_spec=one(1, MODEL_SPEC),
    metadata=by_name(2, ANY),
)
STATUS: Final = Message(
    f"{_SERVING}StatusProto", error_code=one(1, "enum"), error_message=one(2, "string")
)
VERSION_STATUS: Final = Message(
    f"{_SERVING}ModelVersionStatus",
    version=one(1, "int64"),
    state=one(2, "enum"),
    status=one(3, STATUS),
)
STATUS_REQUEST: Final = Message(f"{_SERVING}GetModelStatusRequest", model_spec=one(1, MODEL_SPEC))
STATUS_RESPONSE: Final = Message(
    f"{_SERVING}GetModelStatusResponse", model_version_status=several(1, VERSION_STATUS)
)

MESSAGES: Final = {
    found.name: found for found in list(globals().values()) if isinstance(found, Message)
}
