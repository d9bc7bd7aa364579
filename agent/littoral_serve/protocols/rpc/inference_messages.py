"""The messages of the Open Inference Protocol's service, with the extensions that Triton has.

Names and numbers are those of its grpc_service.proto; a test compares them with what the public
client holds. What is not here is skipped.
"""

from typing import Final

from littoral_serve.protocols.rpc.tables import Message, bulk, by_name, one, several

_PACKAGE: Final = "inference."

SERVER_LIVE_RESPONSE: Final = Message(f"{_PACKAGE}ServerLiveResponse", live=one(1, "bool"))
SERVER_READY_RESPONSE: Final = Message(f"{_PACKAGE}ServerReadyResponse", ready=one(1, "bool"))
MODEL_READY_REQUEST: Final = Message(
    f"{_PACKAGE}ModelReadyRequest", name=one(1, "string"), version=one(2, "string")
)
MODEL_READY_RESPONSE: Final = Message(f"{_PACKAGE}ModelReadyResponse", ready=one(1, "bool"))
SERVER_METADATA_RESPONSE: Final = Message(
    f"{_PACKAGE}ServerMetadataResponse",
    name=one(1, "string"),
    version=one(2, "string"),
    extensions=several(3, "string"),
)
MODEL_METADATA_REQUEST: Final = Message(
    f"{_PACKAGE}ModelMetadataRequest", name=one(1, "string"), version=one(2, "string")
)
TENSOR_METADATA: Final = Message(
    f"{_PACKAGE}ModelMetadataResponse.TensorMetadata",
    name=one(1, "string"),
    datatype=one(2, "string"),
    shape=several(3, "int64"),
)
MODEL_METADATA_RESPONSE: Final = Message(
    f"{_PACKAGE}ModelMetadataResponse",
    name=one(1, "string"),
    versions=several(2, "string"),
    platform=one(3, "string"),
    inputs=several(4, TENSOR_METADATA),
    outputs=several(5, TENSOR_METADATA),
)

# ModelInfer

PARAMETER: Final = Message(
    f"{_PACKAGE}InferParameter",
    ("bool_param", "int64_param", "string_param", "double_param", "uint64_param"),
    bool_param=one(1, "bool"),
    int64_param=one(2, "int64"),
    string_param=one(3, "string"),
    double_param=one(4, "double"),
    uint64_param=one(5, "uint64"),
)
CONTENTS: Final = Message(
    f"{_PACKAGE}InferTensorContents",
    bool_contents=bulk(1, "bool"),
    int_contents=bulk(2, "int32"),
    int64_contents=bulk(3, "int64"),
    uint_contents=bulk(4, "uint32"),
    uint64_contents=bulk(5, "uint64"),
    fp32_contents=bulk(6, "float"),
    fp64_contents=bulk(7, "double"),
    bytes_contents=several(8, "bytes"),
)
INPUT_TENSOR: Final = Message(
    f"{_PACKAGE}ModelInferRequest.InferInputTensor",
    name=one(1, "string"),
    datatype=one(2, "string"),
    shape=several(3, "int64"),
    parameters=by_name(4, PARAMETER),
    contents=one(5, CONTENTS),
)
REQUESTED_OUTPUT: Final = Message(
    f"{_PACKAGE}ModelInferRequest.InferRequestedOutputTensor",
    name=one(1, "string"),
    parameters=by_name(2, PARAMETER),
)
MODEL_INFER_REQUEST: Final = Message(
    f"{_PACKAGE}ModelInferRequest",
    model_name=one(1, "string"),
    model_version=one(2, "string"),
    id=one(3, "string"),
    parameters=by_name(4, PARAMETER),
    inputs=several(5, INPUT_TENSOR),
    outputs=several(6, REQUESTED_OUTPUT),
    raw_input_contents=several(7, "bytes"),
)
OUTPUT_TENSOR: Final = Message(
    f"{_PACKAGE}ModelInferResponse.InferOutputTensor",
    name=one(1, "string"),
    datatype=one(2, "string"),
    shape=several(3, "int64"),
    parameters=by_name(4, PARAMETER),
)
MODEL_INFER_RESPONSE: Final = Message(
    f"{_PACKAGE}ModelInferResponse",
    model_name=one(1, "string"),
    model_version=one(2, "string"),
    id=one(3, "string"),
    parameters=by_name(4, PARAMETER),
    outputs=several(5, OUTPUT_TENSOR),
    raw_output_contents=several(6, "bytes"),
)
STREAM_RESPONSE: Final = Message(
    f"{_PACKAGE}ModelStreamInferResponse",
    error_message=one(1, "string"),
    infer_response=one(2, MODEL_INFER_RESPONSE),
)

# Statistics

DURATION: Final = Message(
    f"{_PACKAGE}StatisticDuration", count=one(1, "uint64"), ns=one(2, "uint64")
)
INFER_STATISTICS: Final = Message(
    f"{_PACKAGE}InferStatistics",
    success=one(1, DURATION),
    fail=one(2, DURATION),
    queue=one(3, DURATION),
    compute_input=one(4, DURATION),
    compute_infer=one(5, DURATION),
    compute_output=one(6, DURATION),
    cache_hit=one(7, DURATION),
    cache_miss=one(8, DURATION),
)
BATCH_STATISTICS: Final = Message(
    f"{_PACKAGE}InferBatchStatistics",
    batch_size=one(1, "uint64"),
    compute_input=one(2, DURATION),
    compute_infer=one(3, DURATION),
    compute_output=one(4, DURATION),
)
MODEL_STATISTICS: Final = Message(
    f"{_PACKAGE}ModelStatistics",
    name=one(1, "string"),
    version=one(2, "string"),
    last_inference=one(3, "uint64"),
    inference_count=one(4, "uint64"),
    execution_count=one(5, "uint64"),
    inference_stats=one(6, INFER_STATISTICS),
    batch_stats=several(7, BATCH_STATISTICS),
)
STATISTICS_REQUEST: Final = Message(
    f"{_PACKAGE}ModelStatisticsRequest", name=one(1, "string"), version=one(2, "string")
)
STATISTICS_RESPONSE: Final = Message(
    f"{_PACKAGE}ModelStatisticsResponse", model_stats=several(1, MODEL_STATISTICS)
)

# Its configuration, as Triton has it

MODEL_INPUT: Final = Message(
    f"{_PACKAGE}ModelInput",
    name=one(1, "string"),
    data_type=one(2, "enum"),
    format=one(3, "enum"),
    dims=several(4, "int64"),
)
MODEL_OUTPUT: Final = Message(
    f"{_PACKAGE}ModelOutput",
    name=one(1, "string"),
    data_type=one(2, "enum"),
    dims=several(3, "int64"),
)
MODEL_CONFIG: Final = Message(
    f"{_PACKAGE}ModelConfig",
    name=one(1, "string"),
    platform=one(2, "string"),
    max_batch_size=one(4, "int32"),
    input=several(5, MODEL_INPUT),
    output=several(6, MODEL_OUTPUT),
    backend=one(17, "string"),
)
CONFIG_REQUEST: Final = Message(
    f"{_PACKAGE}ModelConfigRequest", name=one(1, "string"), version=one(2, "string")
)
CONFIG_RESPONSE: Final = Message(f"{_PACKAGE}ModelConfigResponse", config=one(1, MODEL_CONFIG))

# The repository

INDEX_REQUEST: Final = Message(f"{_PACKAGE}RepositoryIndexRequest", ready=one(2, "bool"))
INDEX: Final = Message(
    f"{_PACKAGE}RepositoryIndexResponse.ModelIndex",
    name=one(1, "string"),
    version=one(2, "string"),
    state=one(3, "string"),
    reason=one(4, "string"),
)
INDEX_RESPONSE: Final = Message(f"{_PACKAGE}RepositoryIndexResponse", models=several(1, INDEX))

MESSAGES: Final = {
    found.name: found
    for found in list(globals().values())
    if isinstance(found, Message) and found.name
}
