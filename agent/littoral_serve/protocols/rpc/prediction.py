"""``tensorflow.serving.PredictionService``: what TensorFlow Serving answers over gRPC.

Statuses and messages are those of its server. Knows no gRPC.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from littoral.model.backends import Array
from littoral_serve.protocols import examples, servables
from littoral_serve.protocols.examples import CLASSIFY, REGRESS, Example, Feature, Task
from littoral_serve.protocols.pictures import encoded
from littoral_serve.protocols.rpc import answering, pictures, signature_defs, tensor_protos
from littoral_serve.protocols.rpc import tensorflow_messages as messages
from littoral_serve.protocols.rpc.answering import (
    Call,
    PreconditionError,
    Service,
    UnsupportedError,
)
from littoral_serve.protocols.rpc.decoding import decode, joined
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.specs import spec_of, told
from littoral_serve.protocols.rpc.tables import FIXED32
from littoral_serve.running.live import Live, Models
from littoral_serve.running.pictures import SIGNATURE, Pictures
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature

_FIELD: Final = "signature_def"  # the one metadata field there is
_SCORE: Final = bytes((messages.CLASS.fields["score"].number << 3 | FIXED32,))
_TYPE: Final = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


class PredictionService:
    """Answers with the models it is given."""

    def __init__(self, models: Models, pictures: Pictures | None = None) -> None:
        self._models = models
        self._pictures = pictures or Pictures()
        self.service = Service(
            "tensorflow.serving.PredictionService",
            {
                "Predict": self.predict,
                "Classify": partial(self.judge, CLASSIFY),
                "Regress": partial(self.judge, REGRESS),
                "MultiInference": self.multi_inference,
                "GetModelMetadata": self.metadata,
            },
        )

    async def predict(self, call: Call) -> bytes:
        start = time.perf_counter_ns()
        request = decode(messages.PREDICT_REQUEST, call.data)
        live, name = self._asked(request)
        if name == SIGNATURE:
            files = pictures.files(request.get("inputs", {}))
            columns = await pictures.look(call, self._pictures, live, files)
            made = pictures.predicted(columns, request.get("output_filter", ()))
            spec = told(live, name)
            return encode(messages.PREDICT_RESPONSE, {"outputs": made, "model_spec": spec})
        signature = live.signatures.get(name)
        if signature is None:
            raise PreconditionError(f'Serving signature key "{name}" not found.')
        arrays = _inputs(request.get("inputs", {}), signature)
        wanted = _filter(request.get("output_filter", ()), signature)
        write = partial(_predicted, live, signature, wanted)
        return await answering.answer(call, live, signature, arrays, start_ns=start, write=write)

    async def judge(self, method: str, call: Call) -> bytes:
        """Classify examples, or regress them."""
        start = time.perf_counter_ns()
        classify = method == CLASSIFY
        request = decode(
            messages.CLASSIFICATION_REQUEST if classify else messages.REGRESSION_REQUEST, call.data
        )
        live, name = self._asked(request)
        found = _examples(request)
        files = encoded(found[0]) if classify else None
        if files is not None:
            columns = await pictures.look(call, self._pictures, live, files)
            seen = {"result": pictures.classified(columns), "model_spec": told(live, name)}
            return encode(messages.CLASSIFICATION_RESPONSE, seen)
        task = examples.task(live, method, name)
        arrays = examples.arrays(task.signature, *found)
        kind = messages.CLASSIFICATION_RESPONSE if classify else messages.REGRESSION_RESPONSE
        one = await answering.run(call, live, task.signature, arrays, start_ns=start)
        begun = time.perf_counter_ns()
        result = _result(live, task, one.outputs())
        made = encode(kind, {"result": result, "model_spec": told(live, name)})
        one.answered(postprocess_ns=time.perf_counter_ns() - begun)
        return made

    async def multi_inference(self, call: Call) -> bytes:
        """Ask one model for several things of the same examples, each under its signature."""
        request = decode(messages.MULTI_INFERENCE_REQUEST, call.data)
        asked = [self._task(each) for each in request.get("tasks", ())]
        if len({live.model for live, _, _ in asked}) > 1:
            raise InvalidArgumentError(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        names = [name for _, name, _ in asked]
        for name in {name for name in names if names.count(name) > 1}:
            raise InvalidArgumentError(f"Duplicate evaluation of signature: {name}")
        found = _examples(request)
        results = []
        for live, name, task in asked:
            start = time.perf_counter_ns()
            arrays = examples.arrays(task.signature, *found)
            one = await answering.run(call, live, task.signature, arrays, start_ns=start)
            begun = time.perf_counter_ns()
            key = "classification_result" if task.method == CLASSIFY else "regression_result"
            result = _result(live, task, one.outputs())
            results.append({"model_spec": told(live, name), key: result})
            one.answered(postprocess_ns=time.perf_counter_ns() - begun)
        return encode(messages.MULTI_INFERENCE_RESPONSE, {"results": results})

    async def metadata(self, call: Call) -> bytes:
        request = decode(messages.METADATA_REQUEST, call.data)
        fields = request.get("metadata_field", ())
        if "model_spec" not in request:
            raise InvalidArgumentError("Missing ModelSpec")
        if not fields:
            raise InvalidArgumentError(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in fields:
            if field != _FIELD:
                raise InvalidArgumentError(f"Metadata field {field} is not supported")
        live = servables.find(self._models, spec_of(request))
        signatures = signature_defs.every(live, self._pictures)
        value = encode(messages.SIGNATURE_DEF_MAP, {"signature_def": signatures})
        metadata = {_FIELD: {"type_url": _TYPE, "value": value}}
        return encode(messages.METADATA_RESPONSE, {"model_spec": told(live), "metadata": metadata})

    def _asked(self, request: Mapping[str, Any]) -> tuple[Live, str]:
        """Return the release and the signature that ``request`` names."""
        live = servables.find(self._models, spec_of(request))
        return live, request["model_spec"].get("signature_name") or DEFAULT

    def _task(self, asked: Mapping[str, Any]) -> tuple[Live, str, Task]:
        if not asked.get("model_spec", {}).get("name"):
            raise InvalidArgumentError("Found ModelSpec with an empty model name.")
        live, name = self._asked(asked)
        method = asked.get("method_name", "")
        if method not in {CLASSIFY, REGRESS}:
            raise UnsupportedError(f"Unsupported signature method_name: {method}")
        return live, name, examples.task(live, method, name)


def _inputs(given: Mapping[str, Any], signature: Signature) -> list[Array]:
    known = {view.name for view in signature.inputs}
    if len(given) != len(known):
        sets = (given, known, given.keys() - known, known - given.keys())
        have, want, extra, missing = ("{" + ",".join(sorted(names)) + "}" for names in sets)
        raise InvalidArgumentError(
            f"input size does not match signature: {len(given)}!={len(known)} len({have}) != "
            f"len({want}). Sent extra: {extra}. Missing but required: {missing}."
        )
    for name in given.keys() - known:
        raise InvalidArgumentError(
            f"input tensor alias not found in signature: {name}. Inputs expected to be in the "
            f"set {{{','.join(sorted(known))}}}."
        )
    return [tensor_protos.read(given[view.name], view) for view in signature.inputs]


def _filter(names: Iterable[str], signature: Signature) -> list[int]:
    """Return which outputs are wanted, in the order in which they are named; all where none is."""
    known = [view.name for view in signature.outputs]
    found: list[int] = []
    for name in names:
        if name not in known:
            raise InvalidArgumentError(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(sorted(known))}}}."
            )
        if known.index(name) in found:
            raise InvalidArgumentError(f"duplicate output tensor alias: {name}")
        found.append(known.index(name))
    return found or list(range(len(known)))


def _predicted(
    live: Live, signature: Signature, wanted: Sequence[int], outputs: Sequence[Array]
) -> bytes:
    made = {signature.outputs[at].name: tensor_protos.write(outputs[at]) for at in wanted}
    spec = told(live, signature.name)
    return encode(messages.PREDICT_RESPONSE, {"outputs": made, "model_spec": spec})


def _examples(request: Mapping[str, Any]) -> tuple[list[Example], Example]:
    """Return the examples that ``request`` brings, and their context."""
    held = request.get("input", {})
    if "example_list_with_context" in held:
        found = held["example_list_with_context"]
    else:
        found = held.get("example_list", {})
    return [_example(one) for one in found.get("examples", ())], _example(found.get("context", {}))


def _example(proto: Mapping[str, Any]) -> Example:
    features = proto.get("features", {}).get("feature", {})
    return {name: made for name, one in features.items() if (made := _feature(one)) is not None}


def _feature(proto: Mapping[str, Any]) -> Feature | None:
    if "bytes_list" in proto:
        return Feature("bytes", [bytes(one) for one in proto["bytes_list"].get("value", ())])
    if "float_list" in proto:
        return Feature("float", joined(proto["float_list"].get("value", ()), "float"))
    if "int64_list" in proto:
        return Feature("int64", joined(proto["int64_list"].get("value", ()), "int64"))
    return None


def _result(live: Live, task: Task, outputs: Sequence[Array]) -> dict[str, Any]:
    if task.method == REGRESS:
        return {"regressions": [{"value": value} for value in task.values(outputs)]}
    found = task.classes(outputs, live.description.labels.__getitem__)
    # A thousand classes an example: what is before each score is made once.
    heads = [encode(messages.CLASS, {"label": label}) + _SCORE for label, _ in found[0]]
    return {
        "classifications": [
            {"classes": [h + score.tobytes() for h, (_, score) in zip(heads, row, strict=True)]}
            for row in found
        ]
    }
