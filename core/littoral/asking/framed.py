"""Frames over serve's Unix socket: docs/frames.md. Pictures go there as HTTP: frames know none."""

from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from littoral.asking.question import (
    MOST_BYTES,
    Array,
    Line,
    Look,
    Question,
    Shown,
    failure,
    unreachable,
)
from littoral.errors import LittoralError, MalformedError
from littoral.local import FrameConnection, LocalConnection
from littoral.wire import frames
from littoral.wire.frames import Described, Done, Kind, Refused, Signature, Spec

_MOST_KEPT: Final = 64  # heads of questions, and of answers
K = TypeVar("K")
V = TypeVar("V")
_Key = tuple[str, int | None, str, tuple[Spec, ...]]


class FrameLine:
    """Keeps the heads that it sent and read, for the next question is of the same kind."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._where = f"unix://{path}"
        self._connection = FrameConnection(path, timeout_s=timeout_s, most_bytes=MOST_BYTES)
        self._within_ms = max(1, int(timeout_s * 1000))
        self._asked: dict[_Key, bytes] = {}
        self._done: dict[bytes, Done] = {}
        self._beside: Line | None = None

    def describe(self, model: str, release: int | None) -> Described:
        head = frames.head(frames.Describe(model=model, release=release))
        found, _ = self._answer(Kind.DESCRIBED, frames.begin(Kind.DESCRIBE, head))
        told = frames.read(Described, found, limit=MOST_BYTES)
        shown = {name: _shown(one) for name, one in told.signatures.items()}
        return replace(told, signatures=shown)

    def run(self, asked: Question) -> tuple[int, dict[str, Array]]:
        key = asked.model, asked.release, asked.signature, asked.specs
        begin = self._asked.get(key)
        if begin is None:
            begin = _keep(self._asked, key, self._begin(asked))
        head, body = self._answer(Kind.DONE, begin, *map(_bytes, asked.arrays))
        done = self._done.get(head)
        if done is None:
            done = _keep(self._done, head, frames.read(Done, head, limit=MOST_BYTES))
        return done.release, _arrays(done, body)

    def look(self, asked: Look) -> dict[str, Array]:
        if self._beside is None:
            from littoral.asking.http import HttpLine

            connection = LocalConnection(self._path, timeout_s=self._timeout_s)
            self._beside = HttpLine(connection, self._where, timeout_s=self._timeout_s)
        return self._beside.look(asked)

    def close(self) -> None:
        self._connection.close()
        if self._beside is not None:
            self._beside.close()

    def _begin(self, asked: Question) -> bytes:
        head = frames.head(
            frames.Run(
                model=asked.model,
                release=asked.release,
                signature=asked.signature,
                inputs=asked.specs,
            )
        )
        size = sum(array.nbytes for array in asked.arrays)
        return frames.begin(Kind.RUN, head, body_bytes=size, within_ms=self._within_ms)

    def _answer(self, wanted: Kind, *parts: bytes | memoryview) -> tuple[bytes, memoryview]:
        try:
            kind, head, body = self._connection.ask(*parts)
        except OSError as e:
            raise unreachable(self._where, e) from e
        except LittoralError as e:
            raise MalformedError(f"{self._where}: {e}") from e
        if kind == wanted:
            return head, body
        if kind != Kind.REFUSED:
            raise MalformedError(f"{self._where}: expected a frame of {wanted:d}, found {kind}")
        refused = frames.read(Refused, head, limit=MOST_BYTES)
        raise failure(refused.code, f"{self._where}: {refused.error}")


def _shown(signature: Signature) -> Signature:
    """Return it as all protocols tell it: frames tell the model's own first dimension.

    serve cuts and fills where all tensors share that one, and takes any number there.
    """
    firsts = {spec.shape[:1] for spec in (*signature.inputs, *signature.outputs)}
    any_number = len(firsts) == 1 and () not in firsts

    def shown(spec: Spec) -> Spec:
        return Shown(spec.name, spec.dtype, (-1, *spec.shape[1:]) if any_number else spec.shape)

    return Signature(
        inputs=tuple(map(shown, signature.inputs)), outputs=tuple(map(shown, signature.outputs))
    )


def _keep(kept: dict[K, V], key: K, value: V) -> V:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[key] = value
    return value


def _bytes(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _arrays(done: Done, body: memoryview) -> dict[str, Array]:
    found: dict[str, Array] = {}
    at = 0
    for spec in done.outputs:
        end = at + spec.nbytes
        if end > len(body):
            break
        found[spec.name] = np.frombuffer(body[at:end], spec.dtype).reshape(spec.shape).copy()
        at = end
    if at != len(body) or len(found) != len(done.outputs):
        raise MalformedError(f"the answer's head does not say the {len(body)} bytes of its body")
    return found
