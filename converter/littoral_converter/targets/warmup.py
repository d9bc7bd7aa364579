"""The requests that TensorFlow Serving answers to itself before it answers anybody else.

Records of PredictionLog, as tensorflow_serving/apis defines it. Four fields of it are needed, which
is less than the package that has all of them (and asks for another TensorFlow).
"""

from typing import Final

PLACE: Final = "assets.extra/tf_serving_warmup_requests"

_BYTES: Final = 2  # the wire type of all of them
_PREDICT_LOG: Final = 6  # PredictionLog
_REQUEST: Final = 1  # PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # PredictRequest
_NAME, _SIGNATURE = 1, 3  # ModelSpec
_KEY, _VALUE = 1, 2  # an entry of a map


def request(*, model: str, signature: str, source: str, tensor: bytes) -> bytes:
    """Return the record that asks ``signature`` of ``model`` about ``tensor``, a TensorProto."""
    spec = _field(_NAME, model.encode()) + _field(_SIGNATURE, signature.encode())
    entry = _field(_KEY, source.encode()) + _field(_VALUE, tensor)
    asked = _field(_MODEL_SPEC, spec) + _field(_INPUTS, entry)
    return _field(_PREDICT_LOG, _field(_REQUEST, asked))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))
