"""What a client may say over one connection: requests that begin alike, and nearly so.

The n-th conversation of a seed. Most of its requests begin as the one before; some differ in one
place, of the same length where that can be; some are what a smuggler sends.
"""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal, get_args

from faults.repeats_wrong import wrong

Deed = Literal["", "switch", "shape", "remove", "slow", "stuff", "fill", "close", "leave", "lose"]
_DEEDS: Final[tuple[Deed, ...]] = get_args(Deed)[1:]
_INFER: Final = "/v2/models/{}/infer"
_LENGTH: Final = "Inference-Header-Content-Length"
_INSTANCES: Final = (1, 1, 1, 2, 20)


@dataclass(frozen=True, slots=True)
class Turn:
    """Some requests that are said together, in pieces; before one of those something happens."""

    deed: Deed
    at: int  # the piece before which it happens
    whole: tuple[bytes, ...]  # the requests
    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said over one connection."""

    number: int
    plain: bool  # every request of it is one by itself, and leaves its connection open
    turns: tuple[Turn, ...]

    def __str__(self) -> str:
        return f"talk {self.number}"


@dataclass(slots=True)
class _Base:
    """Requests that begin alike: ``body`` makes one of the same length each time."""

    method: str
    path: str
    lines: list[str]
    body: Callable[[random.Random], bytes]

    def said(self, body: bytes) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", *self.lines]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def talk(seed: int, number: int) -> Talk:
    """Return the ``number``-th conversation of ``seed``."""
    rng = random.Random(f"{seed}/{number}")
    base, hostile, turns = _base(rng), rng.random() < 0.6, []
    for at in range(rng.randint(2, 7)):
        deed: Deed = rng.choice(_DEEDS) if rng.random() < 0.15 else ""
        if rng.random() < 0.15:
            base = _base(rng)
        whole = [base.said(base.body(rng)) for _ in range(rng.choice((1, 1, 1, 1, 2, 3)))]
        if hostile and at and rng.random() < 0.4:
            whole[-1] = wrong(rng, whole[-1])
        pieces = _pieces(rng, whole)
        when = rng.randrange(len(pieces)) if hostile else 0
        turns.append(Turn(deed, when, tuple(whole), pieces))
    plain = not hostile and all(one.deed in ("", "switch", "shape", "remove") for one in turns)
    return Talk(number, plain, tuple(turns))


def _base(rng: random.Random) -> _Base:
    make = rng.choice((_binary, _binary, _binary, _raw, _listed, _columns, _asked))
    method, path, lines, body = make(rng)
    lines = ["Host: localhost", *lines, *rng.sample(_HARMLESS, rng.choice((0, 0, 1, 2)))]
    if rng.random() < 0.1:
        lines.append("Content-Encoding: gzip")
        body = partial(_packed, body)
    rng.shuffle(lines)
    return _Base(method, path, lines, body)


def _packed(body: Callable[[random.Random], bytes], rng: random.Random) -> bytes:
    """Return it as gzip, as long as any other of its length, for it is only stored."""
    return gzip.compress(body(rng), 0, mtime=0)


_HARMLESS: Final = (
    "Origin: http://localhost",
    "Accept: */*",
    "Connection: keep-alive",
    "Content-Encoding: identity",
    "Content-Type: application/octet-stream",
    "X: y",
)
_Made = tuple[str, str, list[str], Callable[[random.Random], bytes]]
_MODELS: Final[dict[str, list[tuple[str, str, list[int]]]]] = {
    "m": [("x", "FP32", [-1, 64])],
    "later": [("x", "FP32", [-1, 64])],
    "flags": [("x", "BOOL", [-1, 16])],
    "small": [("x", "FP32", [-1, 16])],
    "two": [("left", "FP32", [-1, 8]), ("right", "FP32", [-1, 4])],
    "one": [("x", "FP32", [3, 5])],
    # Of a size that is copied, that has a place, that has just one, and that is followed.
    "page": [("x", "FP32", [20, 64])],
    "near": [("x", "FP32", [1023, 64])],
    "far": [("x", "FP32", [1100, 64])],
}


def _tensors(rng: random.Random) -> tuple[str, list[dict[str, Any]], int]:
    """Return a model, what it is asked, and the bytes of that."""
    model = rng.choice(("m", "m", "m", *_MODELS))
    count, items, size = rng.choice(_INSTANCES), [], 0
    for name, datatype, known in _MODELS[model]:
        shape = [count if n < 0 else n for n in known]
        nbytes = (1 if datatype == "BOOL" else 4) * shape[0] * shape[1]
        item: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
        items.append(item | {"parameters": {"binary_data_size": nbytes}})
        size += nbytes
    return model, items, size


def _binary(rng: random.Random) -> _Made:
    model, items, size = _tensors(rng)
    whole: dict[str, Any] = {"inputs": items}
    if rng.random() < 0.7:
        whole["parameters"] = {"binary_data_output": True}
    named = rng.choice((0, 0, 1, 2))  # first, or last
    release = rng.choice(("", "", "", "/versions/1", "/versions/2"))

    def head(rng: random.Random) -> bytes:
        told = {"id": "".join(rng.choices('ab"\\' if rng.random() < 0.1 else "ab", k=3))}
        document = {**told, **whole} if named == 1 else {**whole, **told} if named else whole
        text = json.dumps(document).encode()
        if rng.random() < 0.15:  # as long, and not the same
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice((b" ", b"0", b'"', b"y", b"\x00")) + text[at + 1 :]
        return text.ljust(length)

    length = len(json.dumps(whole)) + 20
    path = _INFER.format(model + release)
    return "POST", path, [f"{_LENGTH}: {length}"], lambda rng: head(rng) + _values(rng, size)


def _raw(rng: random.Random) -> _Made:
    model, _, size = _tensors(rng)
    return "POST", _INFER.format(model), [f"{_LENGTH}: 0"], lambda rng: _values(rng, size)


def _values(rng: random.Random, size: int) -> bytes:
    some = rng.randbytes(64) if rng.random() < 0.2 else rng.choice((b"\x00\x00\x80\x3f", b"\x01"))
    return (some * (size // len(some) + 1))[:size]


def _listed(rng: random.Random) -> _Made:
    model, items, size = _tensors(rng)
    while size > 10_000:
        model, items, size = _tensors(rng)

    def body(rng: random.Random) -> bytes:
        for item in items:
            item.pop("parameters", None)
            count = item["shape"][0] * item["shape"][1]
            values: Sequence[Any] = (True, True) if item["datatype"] == "BOOL" else range(10)
            item["data"] = rng.choices(values, k=count)
        return json.dumps({"inputs": items}).encode()

    return "POST", _INFER.format(model), ["Content-Type: application/json"], body


def _columns(rng: random.Random) -> _Made:
    wanted = rng.choice(("predict", "predict", "classify"))

    def body(rng: random.Random) -> bytes:
        return json.dumps({"instances": [rng.choices(range(10), k=64)]}).encode()

    return "POST", f"/v1/models/m:{wanted}", ["Content-Type: application/json"], body


def _asked(rng: random.Random) -> _Made:
    """Return what is asked without a body, or with one that nobody reads."""
    path = rng.choice(("/v2", "/v2/models/m", "/v1/models/m", "/v1/models/m/metadata", "/", "/x"))
    body = rng.choice((b"", b"", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    return rng.choice(("GET", "GET", "HEAD")), path, [], lambda _: body


def _pieces(rng: random.Random, whole: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return how it arrives."""
    match rng.randrange(5):
        case 0 | 1:
            return tuple(whole)
        case 2:
            return (b"".join(whole),)
        case 3:  # as Python's own client sends them
            parts = [one.partition(b"\r\n\r\n") for one in whole]
            return tuple(piece for head, end, body in parts for piece in (head + end, body))
        case _:
            data = b"".join(whole)
            near = [data.find(b"\r\n\r\n") + 4 + rng.randint(-2, 2), len(whole[0]) - 1]
            some = [rng.randrange(len(data) + 1) for _ in range(rng.randint(0, 3))]
            ends = sorted(
                {min(max(0, one), len(data)) for one in (*some, *near[: rng.randint(0, 2)])}
            )
            return tuple(data[a:b] for a, b in pairwise([0, *ends, len(data)]))
