"""Whatever comes over gRPC is answered or refused: odd messages, and spoilt bytes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np

from littoral.errors import BackendError
from littoral_serve.protocols.examples import CLASSIFY, REGRESS
from littoral_serve.protocols.rpc import inference_messages as inference
from littoral_serve.protocols.rpc import tensorflow_messages as tensorflow
from littoral_serve.protocols.rpc.answering import Call
from littoral_serve.protocols.rpc.decoding import WireError
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.inference_service import InferenceService
from littoral_serve.protocols.rpc.prediction import PredictionService
from littoral_serve.protocols.rpc.tables import DTYPES, Field, Message
from littoral_serve.running import named
from littoral_serve.running.live import Models, Resources
from littoral_serve.running.refusals import RefusalError
from simulators.served import FIXTURES

Case = tuple[Callable[[Call], Awaitable[bytes]], Message, dict[str, Any]]

NUMBERS = [0, 1, -1, 2, 7, 64, 127, 128, 300, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63)]
TEXTS = ["", "image", "x", "image_bytes", "FP32", "INT8", "BYTES", "tiny-int8", "two-int8", "raw"]
TEXTS += ["float", "1", "-1", "9" * 20, "output_0", REGRESS, "\0", "é" * 50]
PIECES = [b"", b"abcd", bytes(64), bytes(256), b"\xff\xd8\xff", b"\x02\0\0\0\xff\xd8"]
ROUNDS = 3000


def cases(infer: InferenceService, predict: PredictionService) -> list[Case]:
    raw = np.zeros((1, 8, 8, 1), np.float32)
    spec = {"name": "tiny-int8", "signature_name": "serving_default", "version": {"value": 1}}
    shape = {"dim": [{"size": n} for n in raw.shape]}
    tensor = {"dtype": 1, "tensor_shape": shape}
    told = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8, 1]}
    feature = {"image": {"float_list": {"value": raw.ravel()}}}
    example = {"features": {"feature": feature}}
    examples = {"example_list": {"examples": [example]}}
    wanted = {"name": "output_0", "parameters": {"classification": {"int64_param": 3}}}
    picture = {"name": "tiny-int8", "signature_name": "image"}
    asked = {"model_name": "tiny-int8", "model_version": "1", "inputs": [told]}
    classify, regress = partial(predict.judge, CLASSIFY), partial(predict.judge, REGRESS)
    return [
        (infer.infer, inference.MODEL_INFER_REQUEST, asked | {"raw_input_contents": [raw]}),
        (infer.infer, inference.MODEL_INFER_REQUEST, asked | {"outputs": [wanted]}),
        (
            infer.stream_infer,
            inference.MODEL_INFER_REQUEST,
            asked | {"inputs": [told | {"contents": {"fp32_contents": raw.ravel()}}]},
        ),
        (infer.metadata, inference.MODEL_METADATA_REQUEST, {"name": "tiny-int8"}),
        (infer.statistics, inference.STATISTICS_REQUEST, {"name": "tiny-int8"}),
        (
            predict.predict,
            tensorflow.PREDICT_REQUEST,
            {"model_spec": spec, "inputs": {"image": tensor | {"tensor_content": raw}}},
        ),
        (
            predict.predict,
            tensorflow.PREDICT_REQUEST,
            {"model_spec": spec, "inputs": {"image": tensor | {"float_val": raw.ravel()[:3]}}},
        ),
        (
            predict.predict,
            tensorflow.PREDICT_REQUEST,
            {"model_spec": picture, "inputs": {"image_bytes": {"dtype": 7, "string_val": [b"x"]}}},
        ),
        (
            classify,
            tensorflow.CLASSIFICATION_REQUEST,
            {"model_spec": spec, "input": examples},
        ),
        (regress, tensorflow.REGRESSION_REQUEST, {"model_spec": spec, "input": examples}),
        (
            predict.multi_inference,
            tensorflow.MULTI_INFERENCE_REQUEST,
            {"tasks": [{"model_spec": spec, "method_name": CLASSIFY}], "input": examples},
        ),
        (
            predict.metadata,
            tensorflow.METADATA_REQUEST,
            {"model_spec": spec, "metadata_field": ["signature_def"]},
        ),
    ]


class Warp:
    """Makes messages that are nearly right."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def message(self, of: Message, values: dict[str, Any]) -> dict[str, Any]:
        made = {}
        for name, field in of.fields.items():
            luck = self.rng.random()
            if name not in values:
                if luck < 0.1:
                    made[name] = self.new(field)
            elif luck > 0.1:
                made[name] = self.new(field) if luck < 0.15 else self.inner(field, values[name])
        return made

    def inner(self, field: Field, value: Any) -> Any:
        if field.of is None:
            return value
        if field.kind == "map":
            of = field.of.fields["value"].of
            return {
                (self.rng.choice(TEXTS) if self.rng.random() < 0.1 else key): self.message(of, one)
                for key, one in value.items()
                if of is not None
            }
        if not field.many:
            return self.message(field.of, value)
        return [self.message(field.of, one) for one in value] * self.rng.choice((1, 1, 1, 2))

    def new(self, field: Field) -> Any:
        if field.kind == "map":
            return {self.rng.choice(TEXTS): {}}
        if field.bulk:
            some = [self.rng.randrange(128) for _ in range(self.rng.choice((0, 1, 64, 65)))]
            return np.array(some, DTYPES[field.kind])
        count = self.rng.randrange(5) if field.many else 1
        made = [self.one(field) for _ in range(count)]
        return made if field.many else made[0]

    def one(self, field: Field) -> Any:
        match field.kind:
            case "message":
                return {}
            case "string":
                return self.rng.choice(TEXTS)
            case "bytes":
                return self.rng.choice(PIECES)
            case "float" | "double":
                return self.rng.random()
            case _:
                return self.rng.choice(NUMBERS)

    def spoilt(self, data: bytes) -> bytes:
        body = bytearray(data)
        for _ in range(self.rng.randrange(1, 4)):
            at = self.rng.randrange(len(body) + 1)
            body[at : at + self.rng.randrange(4)] = self.rng.randbytes(self.rng.randrange(4))
        return bytes(body)


def test_whatever_comes_is_answered_or_refused() -> None:
    models = Models(keep_previous_free_bytes=0)
    for name in ("tiny_int8", "two_int8"):
        path = FIXTURES / f"{name}.tflite"
        models.switch(named.load(name.replace("_", "-"), path, resources=Resources(threads=1)))
    known = cases(InferenceService(models), PredictionService(models))
    warp, came = Warp(7), Counter[str]()

    async def ask(answer: Callable[[Call], Awaitable[bytes]], data: bytes) -> None:
        now = time.perf_counter_ns()
        try:
            assert isinstance(await answer(Call(data, now, now + 20 * 10**9)), bytes)
        except (RefusalError, WireError, BackendError) as e:
            came[type(e).__name__] += 1
        else:
            came["answered"] += 1

    async def main() -> None:
        for _ in range(ROUNDS):
            answer, of, values = warp.rng.choice(known)
            data = encode(of, warp.message(of, values))
            await ask(answer, warp.spoilt(data) if warp.rng.random() < 0.2 else data)

    asyncio.run(main())
    assert min(came[name] for name in ("answered", "InvalidArgumentError", "WireError")) > 100, came
