"""What a hostile client may say to serve: requests that are nearly right, the n-th of a seed.

Each is made from one that serve answers: its head, its JSON, its tensors, its protobuf or its
HTTP/2 is changed in one to three places, or what it says of its own lengths is not so.
"""

import json
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from littoral.wire import frames
from littoral.wire.frames import Kind

Way = Literal["http", "unix", "frames", "grpc"]
WAYS: Final[tuple[Way, ...]] = ("http", "unix", "frames", "grpc")

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, 1e308,
    "", "x", "\u0000", "\ud800", "0", "1" * 400, "NaN", [], [[]], [[], [0]], {}, {"": {}},
    {"b64": "!"}, {"b64": "AAAA"}, [None], [True], [-1], [2**40, 2**40],
)  # fmt: skip
RAW: Final = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"01",
    b"[" * 3000,
    b"{" * 90,
    b"}",
    b",",
    b'"',
)
HEADERS: Final = (
    "Content-Length: -1",
    "Content-Length: 18446744073709551617",
    "Content-Length: 1, 1",
    "Content-Length:",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: x",
    "Expect: 100-continue",
    "Host: evil.example",
    "Host:",
    "Origin: http://evil.example",
    "Origin: null",
    "Connection: close",
    "Connection: upgrade",
    "Upgrade: h2c",
    "Content-Encoding: gzip",
    "Content-Encoding: deflate",
    "Content-Encoding: br",
    "Accept-Encoding: gzip",
    "Content-Type: image/jpeg",
    "Content-Type: application/octet-stream",
    "Content-Type: \xff",
    "X: " + "y" * 9000,
    "Inference-Header-Content-Length: 0",
    "Inference-Header-Content-Length: -1",
    "Inference-Header-Content-Length: 99999999",
    "Inference-Header-Content-Length: 1x",
    " folded",
    "no colon",
    "Range: bytes=0-",
)
PATHS: Final = (
    "/",
    "*",
    "/v1",
    "/v1/models",
    "/v1/models/",
    "/v1/models/tiny-float",
    "/v1/models/tiny-float/metadata",
    "/v1/models/tiny-float/versions/1",
    "/v1/models/tiny-float/versions/99999999999999999999:predict",
    "/v1/models/tiny-float/labels/x:predict",
    "/v1/models/tiny-float:classify",
    "/v1/models/tiny-float:regress",
    "/v1/models/%2e%2e%2f:predict",
    "/v1/models/%ff:predict",
    "/v1/models/" + "a" * 3000 + ":predict",
    "/v2",
    "/v2/",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/tiny-float",
    "/v2/models/tiny-float/config",
    "/v2/models/tiny-float/stats",
    "/v2/models/stats",
    "/v2/models/x/versions/1/infer",
    "/v2/repository/index",
    "/v2/repository/models/tiny-float/unload",
    "/metrics",
    "/monitoring/prometheus/metrics",
    "/v2?x=%",
    "http://x/v1/",
)
METHODS: Final = (
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
    "",
)


@dataclass(frozen=True, slots=True)
class Said:
    """One input: the bytes, and where they are cut."""

    way: Way
    number: int
    family: str
    pieces: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{self.way} {self.number} ({self.family})"


def said(seed: int, number: int) -> Said:
    """Return the ``number``-th input of ``seed``."""
    rng = random.Random(f"{seed}/{number}")
    way = WAYS[number % len(WAYS)]
    make: Callable[[random.Random], tuple[str, bytes]]
    match way:
        case "frames":
            make = _frame
        case "grpc":
            make = _grpc
        case _:
            make = _http
    family, data = make(rng)
    if rng.random() < 0.15:
        family, data = "several", data * rng.randint(2, 6)
    if rng.random() < 0.2:
        family, data = "torn", data[: rng.randrange(len(data) + 1)]
    if rng.random() < 0.1:
        family, data = "flipped", _flipped(rng, data)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 0, 1, 3))))
    ends = [0, *cuts, len(data)]
    pieces = tuple(data[a:b] for a, b in pairwise(ends))
    return Said(way, number, family, pieces)


X: Final = [[[[0.5]] * 8] * 8]
PICTURE: Final = {"b64": "/9j/4AAQSkZJRgABAQ=="}
TENSOR: Final = struct.pack("<64f", *[0.5] * 64)


def _http(rng: random.Random) -> tuple[str, bytes]:
    family = rng.choice(("json", "binary", "head", "path", "chunks"))
    binary = family == "binary" or (family in ("head", "chunks") and rng.random() < 0.5)
    path, headers, body = _binary(rng, family) if binary else _json(rng, family)
    method = "POST"
    if family == "path":
        method, path = rng.choice(METHODS), rng.choice(PATHS)
        body = body if rng.random() < 0.5 else b""
    if family == "head":
        headers = [*headers, *rng.choices(HEADERS, k=rng.randint(1, 3))]
        rng.shuffle(headers)
    if family == "chunks":
        headers, body = [*headers, "Transfer-Encoding: chunked"], _chunked(rng, body)
    elif rng.random() < 0.95:
        wrong = rng.choice((0,) * 12 + (-3, 3, 10**6))
        headers.append(f"Content-Length: {max(0, len(body) + wrong)}")
    version = rng.choice(("HTTP/1.1",) * 9 + ("HTTP/1.0", "HTTP/2.0", "HTTP/9", ""))
    lines = [f"{method} {path} {version}", "Host: localhost", *headers]
    return family, "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def _json(rng: random.Random, family: str) -> tuple[str, list[str], bytes]:
    values = [0.5] * 64
    v2 = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32", "data": values}
    path, whole = rng.choice(
        (
            ("/v1/models/tiny-float:predict", {"instances": X}),
            ("/v1/models/tiny-float:predict", {"inputs": X, "signature_name": "raw"}),
            ("/v1/models/tiny-int8:predict", {"instances": [{"image": X[0]}]}),
            ("/v1/models/tiny-int8:classify", {"examples": [{"image": values}]}),
            ("/v1/models/tiny-int8:regress", {"examples": [{"image": values}], "context": {}}),
            ("/v2/models/tiny-float/infer", {"inputs": [v2], "outputs": [{"name": "output_0"}]}),
            (
                "/v2/models/tiny-int8/infer",
                {"id": "1", "inputs": [v2], "parameters": {}},
            ),
            (
                "/v1/models/tiny-int8:predict",
                {"signature_name": "image", "instances": [{"b64": "/9j/"}]},
            ),
        )
    )
    body = _text(rng, whole, changes=rng.randint(1, 3) if family == "json" else 0)
    return path, ["Content-Type: application/json"], body


def _binary(rng: random.Random, family: str) -> tuple[str, list[str], bytes]:
    one = {
        "name": "image",
        "shape": [1, 8, 8, 1],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 256},
    }
    whole = {"inputs": [one], "parameters": {"binary_data_output": True}}
    head = _text(rng, whole, changes=rng.randint(0, 2) if family == "binary" else 0)
    length = len(head) + (
        rng.choice((0, 0, 0, 1, -1, 300, -len(head))) if family == "binary" else 0
    )
    tensor = TENSOR[: rng.choice((256, 256, 256, 0, 255, 3))] + b"x" * rng.choice(
        (0, 0, 0, 1, 5000)
    )
    kind = ["Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {length}"]
    return "/v2/models/tiny-float/infer", kind, head + tensor


def _text(rng: random.Random, whole: Any, *, changes: int) -> bytes:
    """Return ``whole`` as JSON, changed in so many places."""
    whole = json.loads(json.dumps(whole))
    for _ in range(changes):
        whole = _odd(rng, whole)
    text = json.dumps(whole).encode(errors="surrogatepass")
    if changes and rng.random() < 0.3:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(RAW) + text[at + rng.choice((0, 0, 1, 5)) :]
    return text


def _odd(rng: random.Random, value: Any) -> Any:  # noqa: PLR0911
    """Return ``value`` with something in it replaced, added, doubled or taken away."""
    if not isinstance(value, list | dict) or not value or rng.random() < 0.15:
        return rng.choice(ODD)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        match rng.randrange(4):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, value[at]]
            case _:
                return [*value[:at], _odd(rng, value[at]), *value[at + 1 :]]
    key = rng.choice(list(value))
    match rng.randrange(5):
        case 0:
            return {k: v for k, v in value.items() if k != key}
        case 1:
            return {**value, rng.choice(("", "x", "data", "b64", "inputs")): rng.choice(ODD)}
        case _:
            return {**value, key: _odd(rng, value[key])}


def _chunked(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    size = rng.choice(
        (f"{at:x}", f"{at:X};x=y", f"{at:x}", "-1", "fffffffffffffffff", "", "0x10", f"{at + 9:x}")
    )
    end = rng.choice(("0\r\n\r\n", "0\r\n\r\n", "0\r\nX: y\r\n\r\n", "0\r\n", ""))
    first = f"{size}\r\n".encode() + body[:at] + rng.choice((b"\r\n", b"\r\n", b"", b"\n"))
    return first + b"%x\r\n" % len(body[at:]) + body[at:] + b"\r\n" + end.encode()


def _frame(rng: random.Random) -> tuple[str, bytes]:
    family = rng.choice(("head", "sizes", "body", "describe"))
    spec = {"name": "image", "dtype": "float32", "shape": [1, 8, 8, 1]}
    whole: Any = {"model": "tiny-float", "inputs": [spec], "signature": "raw", "release": 1}
    kind: int = Kind.RUN
    if family == "describe":
        whole, kind = {"model": "tiny-float"}, Kind.DESCRIBE
    changes = rng.randint(1, 3) if family in ("head", "describe") else 0
    head = _text(rng, whole, changes=changes)
    body = TENSOR if family != "describe" else b""
    if family == "body":
        body = body[: rng.randrange(257)] + b"z" * rng.choice((0, 0, 1, 70_000, 300_000))
    sizes = [len(head), len(body), rng.choice((0, 0, 1, 2**32 - 1))]
    magic, version = b"\x8fL", 1
    if family == "sizes":
        sizes[rng.randrange(2)] = rng.choice((0, 1, 15, 65_536, 65_537, 2**24, 2**31, 2**32 - 1))
        kind = rng.choice((kind, kind, 0, 3, 129, 130, 255))
        version = rng.choice((1, 1, 1, 0, 2, 255))
        magic = rng.choice((magic, magic, magic, b"\x8f\x00"))
    return family, frames.HEADER.pack(magic, version, kind, *sizes) + head + body


def _grpc(rng: random.Random) -> tuple[str, bytes]:
    family = rng.choice(("message", "message", "prefix", "http2", "headers"))
    path, message = rng.choice(MESSAGES)
    if family == "message":
        for _ in range(rng.randint(1, 3)):
            message = _wrong_message(rng, message)
    prefix = struct.pack(">BI", 0, len(message))
    if family == "prefix":
        prefix = struct.pack(
            ">BI",
            rng.choice((0, 1, 2, 255)),
            rng.choice((0, 1, len(message) + 1, 2**31, 2**32 - 1)),
        )
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    if family == "headers":
        fields += rng.choices(FIELDS, k=2)
        rng.shuffle(fields)
    block = b"".join(b"\x00" + http2_string(name) + http2_string(value) for name, value in fields)
    parts = [
        http2_frame(4, 0, 0, b""),
        http2_frame(1, 4, 1, block),
        http2_frame(0, 1, 1, prefix + message),
    ]
    if family == "http2":
        for _ in range(rng.randint(1, 3)):
            kind, flags, stream = (
                rng.randrange(14),
                rng.randrange(256),
                rng.choice((0, 1, 2, 3, 2**31 - 1)),
            )
            payload = rng.randbytes(rng.choice((0, 1, 4, 6, 8, 9, 200, 16_385)))
            parts.insert(rng.randrange(len(parts) + 1), http2_frame(kind, flags, stream, payload))
    return family, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(parts)


FIELDS: Final = (
    (":path", ""),
    (":path", "/x"),
    ("grpc-timeout", "1n"),
    ("grpc-timeout", "x"),
    ("grpc-encoding", "gzip"),
    ("content-type", "x"),
    ("a" * 5000, "b"),
    ("X", ""),
)


def http2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def http2_string(text: str) -> bytes:
    """Return a string of HPACK's, not compressed."""
    data = text.encode("latin-1")
    if len(data) < 127:
        return bytes((len(data),)) + data
    return b"\x7f" + _varint(len(data) - 127) + data


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _field(number: int, value: bytes | int) -> bytes:
    """Return one field of a message: a number, or whatever has a length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value % 2**64)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _message(*fields: tuple[int, bytes | int]) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _shape(*dims: int) -> bytes:
    return _message(*((2, _message((1, n))) for n in dims))


INFER: Final = _message(
    (1, b"tiny-float"),
    (3, b"id"),
    (5, _message((1, b"image"), (2, b"FP32"), (3, b"\x01\x08\x08\x01"))),
    (7, TENSOR),
)
PREDICT: Final = _message(
    (1, _message((1, b"tiny-float"), (3, b"raw"))),
    (2, _message((1, b"image"), (2, _message((1, 1), (2, _shape(1, 8, 8, 1)), (4, TENSOR))))),
)
EXAMPLE: Final = _message((1, _message((1, b"image"), (2, _message((2, _message((1, TENSOR))))))))
CLASSIFY: Final = _message(
    (1, _message((1, b"tiny-int8"))), (2, _message((1, _message((1, _message((1, EXAMPLE)))))))
)
SPEC: Final = _message((1, _message((1, b"tiny-float"))))
_TFS: Final = "/tensorflow.serving.PredictionService/"
_V2: Final = "/inference.GRPCInferenceService/"
MESSAGES: Final[Sequence[tuple[str, bytes]]] = (
    (f"{_V2}ModelInfer", INFER),
    (f"{_V2}ModelInfer", INFER),
    (f"{_V2}ModelMetadata", _message((1, b"tiny-float"))),
    (f"{_V2}ServerLive", b""),
    (f"{_V2}ModelStatistics", _message((1, b"tiny-float"))),
    (f"{_V2}RepositoryIndex", b""),
    (f"{_TFS}Predict", PREDICT),
    (f"{_TFS}Predict", PREDICT),
    (f"{_TFS}Classify", CLASSIFY),
    (f"{_TFS}Regress", CLASSIFY),
    (f"{_TFS}MultiInference", CLASSIFY),
    (f"{_TFS}GetModelMetadata", SPEC + _message((2, b"signature_def"))),
    (
        "/tensorflow.serving.ModelService/GetModelStatus",
        _message((1, _message((1, b"tiny-float")))),
    ),
    ("/x.Y/Z", b""),
)


def _wrong_message(rng: random.Random, data: bytes) -> bytes:
    match rng.randrange(6):
        case 0:
            return _flipped(rng, data)
        case 1:
            return data[: rng.randrange(len(data) + 1)]
        case 2:
            return data + _field(rng.randrange(1, 20), rng.randbytes(rng.randrange(40)))
        case 3:
            return data + _field(rng.randrange(1, 20), rng.choice((0, 1, -1, 2**31, 2**63)))
        case 4:
            at = rng.randrange(len(data) + 1)
            return data[:at] + _varint(rng.choice((0, 127, 2**31, 2**64 - 1))) + data[at:]
        case _:
            return data + data


def _flipped(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return b"\x00"
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
