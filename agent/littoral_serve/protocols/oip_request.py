"""An inference request of the Open Inference Protocol, into arrays and what is wanted back.

    [head as JSON][tensors in binary]     the header Inference-Header-Content-Length parts them
    [head as JSON, with the tensors]      where there is no such header
    [the one tensor in binary]            where that header is 0

Clients send the same head again and again, with other tensors: what a head comes to is a plan,
and plans are kept. The tensors are not copied. Errors bear Triton's words where it has some.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols import oip_data, oip_plan
from littoral_serve.protocols.json_document import LARGE
from littoral_serve.protocols.oip_plan import Face, InferPlan, Place, Wanted
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT

# What differs from request to request where clients name theirs, and they do so first.
_ID: Final = re.compile(rb'\{\s*"id"\s*:\s*"([ !#-\[\]-~]*)"\s*,\s*')
ELEMENTS: Final = b'"BYTES"'  # in a head: its datatype, perhaps
_MOST_PLANS: Final = 64
_MOST_HEAD_BYTES: Final = 4096  # of one that is kept


class InferTensors:
    """Tensors of an infer request: batched arrays in the order of the signature's inputs."""

    __slots__ = ("arrays", "id", "plan")

    def __init__(self, plan: InferPlan, arrays: list[Array], id: str | None) -> None:  # noqa: A002
        self.plan, self.arrays, self.id = plan, arrays, id


class Same:
    """How a body begins, and what it then brings."""

    __slots__ = ("_head", "_plan", "_views")

    def __init__(self, plan: InferPlan, head: bytes) -> None:
        self._plan, self._head = plan, head
        self._views = [(p.shape, p.dtype, len(head) + p.start) for p in plan.places]

    def read(self, body: bytes | memoryview) -> InferTensors | None:
        """Return the tensors of a ``body`` that is as long; None if it begins otherwise."""
        head = self._head
        if bytes(body[: len(head)]) != head:
            return None
        arrays = [np.ndarray(shape, dtype, body, at) for shape, dtype, at in self._views]
        return InferTensors(self._plan, arrays, None)


def same(plan: InferPlan, body: bytes | memoryview) -> Same | None:
    """Return how ``body``, of this plan, begins; None where a like one may bring other things."""
    fixed = all(one.nbytes is not None and one.dtype.kind != "b" for one in plan.places)
    head = bytes(body[: len(body) - plan.nbytes])
    if not fixed or plan.id is not None or len(head) > _MOST_HEAD_BYTES or _ID.match(head):
        return None
    return Same(plan, head)


def read(face: Face, body: bytes | memoryview, head_bytes: bytes | None) -> InferTensors:
    """Return what ``body`` asks; ``head_bytes``: the header that says how long its head is.

    Raises:
        InvalidArgumentError: It cannot be understood, or does not fit the model.

    """
    if head_bytes is None:
        body = bytes(body)
        most = len(face.signatures[DEFAULT].inputs)
        head, cuts = oip_data.cut(body, most=most)
        start = len(body)
    else:
        start = head_length(head_bytes, len(body))
        if not start:
            return _raw(face, body)
        head, cuts = bytes(body[:start]), []
    name = None
    plan = face.plans.get((head, len(cuts)))
    if plan is None:
        if named := _ID.match(head):
            name, head = named[1].decode(), b"{" + head[named.end() :]
        plan = face.plans.get((head, len(cuts))) or _plan(face, head, cuts)
    if len(body) - start != plan.nbytes:
        raise _rest_error(plan, len(body) - start, face.model)
    arrays = [
        _array(place, view.name, body, start, cuts)
        for place, view in zip(plan.places, plan.signature.inputs, strict=True)
    ]
    return InferTensors(plan, arrays, plan.id if name is None else name)


def is_slow(body: bytes | memoryview, head_bytes: bytes | None) -> bool:
    """Tell whether others would wait while a large ``body`` is read.

    That is much JSON, or elements of which each says where the next one begins.

    Raises:
        InvalidArgumentError: Its header says no length that there is.

    """
    if head_bytes is None:
        return True
    length = head_length(head_bytes, len(body))
    return length > LARGE or ELEMENTS in bytes(body[:length])


def head_length(text: bytes, most: int) -> int:
    """Return how long ``text`` says the head is. Raises InvalidArgumentError."""
    if not text.isdigit() or len(text) > len(str(most)) or int(text) > most:
        raise InvalidArgumentError(
            "inference header size should be in range (0, "
            f"{most}), got: {text.decode('latin-1')[:64]}"
        )
    return int(text)


def _raw(face: Face, body: bytes | memoryview) -> InferTensors:
    """Read a body that is one tensor, in the view that is usual."""
    plan = face.plans.get((b"", len(body)))  # as heads are kept, of which none is empty
    if plan is None:
        plan = _keep(face, (b"", len(body)), _raw_plan(face, len(body)))
    return InferTensors(plan, [_array(plan.places[0], "", body, 0, [])], None)


def _raw_plan(face: Face, nbytes: int) -> InferPlan:
    signature = face.signatures[DEFAULT]
    if len(signature.inputs) != 1:
        raise InvalidArgumentError(
            f"raw binary input: model '{face.model}' has {len(signature.inputs)} inputs, expected 1"
        )
    (view,) = signature.inputs
    dtype = np.dtype(view.dtype)
    one = dtype.itemsize * prod(view.instance if face.batch else view.spec.shape)
    count = nbytes // one
    if nbytes != max(1, count) * one or (face.batch is None and count != 1):
        raise oip_plan.size_error(view, face.model, one, nbytes)
    shape = (count, *view.instance) if face.batch else view.spec.shape
    wanted = tuple(Wanted(at, binary=True) for at in range(len(signature.outputs)))
    return InferPlan(signature, (Place(shape, dtype, nbytes=nbytes),), wanted, nbytes=nbytes)


def _array(
    place: Place, name: str, body: bytes | memoryview, start: int, cuts: Sequence[bytes]
) -> Array:
    if place.nbytes is not None:
        array: Array = np.ndarray(place.shape, place.dtype, body, start + place.start)
        # A byte that is to be a boolean may be anything.
        return array.view(np.uint8) != 0 if place.dtype.kind == "b" else array
    dtype = place.dtype.name
    if place.cut is not None:
        return oip_data.from_text(cuts[place.cut], place.shape, dtype, name=name)
    return oip_data.from_value(place.value, place.shape, dtype, name=name)


def _rest_error(plan: InferPlan, nbytes: int, model: str) -> InvalidArgumentError:
    """Return what it means that so many bytes are behind the head."""
    for place, view in zip(plan.places, plan.signature.inputs, strict=True):
        missing = place.start + (place.nbytes or 0) - nbytes
        if missing > 0:
            return InvalidArgumentError(
                f"unexpected size for input '{view.name}', expecting {missing} additional bytes "
                f"for model '{model}'"
            )
    return InvalidArgumentError(f"unexpected additional input data for model '{model}'")


def _plan(face: Face, head: bytes, cuts: Sequence[bytes]) -> InferPlan:
    document = oip_data.document(head)
    plan = oip_plan.read(face, document, cuts=len(cuts))
    varies = plan.id is not None or any(place.value is not None for place in plan.places)
    return plan if varies else _keep(face, (head, len(cuts)), plan)


def _keep(face: Face, key: tuple[bytes, int], plan: InferPlan) -> InferPlan:
    if len(key[0]) <= _MOST_HEAD_BYTES:
        if len(face.plans) >= _MOST_PLANS:
            face.plans.clear()
        face.plans[key] = plan
    return plan
