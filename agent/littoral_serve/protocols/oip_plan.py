"""What the head of an inference request asks: where its tensors are, and what is wanted back.

Pure: a document in, a plan or the client's mistake out. The mistakes bear Triton's words where
it has some.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from littoral_serve.protocols import oip_fields as fields
from littoral_serve.protocols import oip_types
from littoral_serve.running.inference import LOOK
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature, View

_SHOWN: Final = 32  # dimensions of a shape in an error


class Wanted(NamedTuple):
    """One output that a client wants back."""

    at: int  # in the signature's outputs
    binary: bool
    classes: int = 0  # the greatest so many as text, rather than all values


class Place(NamedTuple):
    """Where the values of one input are: in the body, in a list that was cut, in the head."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int = 0  # in the body, behind the head
    nbytes: int | None = None  # there; None: in JSON
    cut: int | None = None
    value: Any = None


class InferPlan:
    """What a head comes to."""

    __slots__ = (
        "count",
        "id",
        "nbytes",
        "places",
        "reply",
        "signature",
        "timeout_ns",
        "wanted",
        "whole",
    )

    def __init__(
        self,
        signature: Signature,
        places: tuple[Place, ...],
        wanted: tuple[Wanted, ...],
        *,
        nbytes: int,
        timeout_ns: int | None = None,
        id: str | None = None,  # noqa: A002 (as clients call it)
    ) -> None:
        self.signature, self.places, self.wanted = signature, places, wanted
        self.nbytes = nbytes  # behind the head
        self.count: int | None = LOOK  # of instances, once one was asked
        self.timeout_ns, self.id = timeout_ns, id
        # All that is wanted is binary: then all replies have one head, once there was one.
        self.whole = all(one.binary and not one.classes for one in wanted)
        self.reply: tuple[bytes, bytes] | None = None  # its head, and the header of that


class Face:
    """One release as clients of this protocol see it. Holds no session."""

    __slots__ = ("batch", "labels", "model", "plans", "release", "signatures")

    def __init__(
        self,
        model: str,
        release: int,
        signatures: Mapping[str, Signature],
        batch: int | None,
        labels: tuple[str, ...] = (),
    ) -> None:
        self.model, self.release = model, release
        self.signatures, self.batch, self.labels = signatures, batch, labels
        self.plans: dict[tuple[bytes, int], InferPlan] = {}


def size_error(view: View, model: str, want: int, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"input byte size mismatch for input '{view.name}' for model '{model}'. "
        f"Expected {want}, got {str(got)[:64]}"
    )


def read(face: Face, document: Mapping[str, Any], *, cuts: int) -> InferPlan:
    """Return what the head ``document`` comes to. Raises InvalidArgumentError."""
    given = _inputs(face, document)
    parameters = fields.parameters(document)
    name = parameters.get("signature_name")
    if name is not None and not isinstance(name, str):
        raise InvalidArgumentError("Unable to parse 'signature_name'")
    views = face.signatures[DEFAULT].inputs
    items = [given[view.name] for view in views]
    datatypes = [fields.text(item, "datatype") for item in items]
    signature = oip_types.choose(face.signatures, datatypes, model=face.model, name=name)
    places: dict[str, Place] = {}
    start = 0
    for input_name, item in given.items():  # their bytes come in the order in which they are named
        view = next(view for view in signature.inputs if view.name == input_name)
        place = _place(face, item, view, cuts=cuts)
        places[input_name] = place._replace(start=start)
        start += place.nbytes or 0
    return InferPlan(
        signature,
        tuple(places[view.name] for view in views),
        _wanted(face, document, signature, binary=fields.flag(parameters, "binary_data_output")),
        nbytes=start,
        timeout_ns=fields.timeout_ns(parameters),
        id=fields.name(document),
    )


def _inputs(face: Face, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    known = {view.name for view in face.signatures[DEFAULT].inputs}
    items = fields.objects(document, "inputs")
    given = {fields.text(item, "name"): item for item in items}
    for name in given:
        if name not in known:
            raise InvalidArgumentError(
                f"unexpected inference input '{name}' for model '{face.model}'"
            )
    if len(items) != len(known) or given.keys() != known:
        raise InvalidArgumentError(
            f"expected {len(known)} inputs but got {len(items)} inputs for model '{face.model}'. "
            f"Got input(s) {sorted(given)}, but missing required input(s) "
            f"{sorted(known - {*given})}. Please provide all required input(s)."
        )
    return given


def _place(face: Face, item: Mapping[str, Any], view: View, *, cuts: int) -> Place:
    """Return where the values of an input are; ``start`` is not known yet."""
    shape, dtype = _shape(face, item, view), np.dtype(view.dtype)
    parameters = fields.parameters(item)
    found = [
        f"'{key}'"
        for key, where in (
            ("data", item),
            ("binary_data_size", parameters),
            ("shared_memory_region", parameters),
        )
        if key in where
    ]
    if "'shared_memory_region'" in found:
        raise InvalidArgumentError("shared memory is not offered over HTTP")
    if len(found) != 1:
        raise InvalidArgumentError(
            "Input must set only one of the following fields: 'data', 'binary_data_size' in "
            "'parameters', 'shared_memory_region' in 'parameters'. But "
            + (f"set {' '.join(found)}" if found else "no field is set")
        )
    if "data" in item:
        value = item["data"]
        if type(value) is int and 0 <= value < cuts:
            return Place(shape, dtype, cut=value)
        if not isinstance(value, list):
            raise InvalidArgumentError("Unable to parse 'data'")
        return Place(shape, dtype, value=value)
    size = parameters["binary_data_size"]
    want = prod(shape) * dtype.itemsize
    if size != want:
        raise size_error(view, face.model, want, size)
    return Place(shape, dtype, nbytes=want)


def _shape(face: Face, item: Mapping[str, Any], view: View) -> tuple[int, ...]:
    shape = item.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise InvalidArgumentError("Unable to parse 'shape'")
    known = view.shape(face.batch)
    fits = len(shape) == len(known) and all(
        n == m or (m < 0 < n) for n, m in zip(shape, known, strict=True)
    )
    if not fits:
        want, got = (",".join(map(str, one)) for one in (known, shape[:_SHOWN]))
        raise InvalidArgumentError(
            f"unexpected shape for input '{view.name}' for model '{face.model}'. "
            f"Expected [{want}], got [{got}]"
        )
    return tuple(shape)


def _wanted(
    face: Face, document: Mapping[str, Any], signature: Signature, *, binary: bool
) -> tuple[Wanted, ...]:
    names = [view.name for view in signature.outputs]
    if not document.get("outputs"):
        return tuple(Wanted(at, binary=binary) for at in range(len(names)))
    found: dict[str, Wanted] = {}
    for item in fields.objects(document, "outputs"):
        name, parameters = fields.text(item, "name"), fields.parameters(item)
        if name not in names or name in found:
            raise InvalidArgumentError(
                f"unexpected inference output '{name}' for model '{face.model}'"
            )
        if "shared_memory_region" in parameters:
            raise InvalidArgumentError("shared memory is not offered over HTTP")
        found[name] = Wanted(
            names.index(name),
            binary=fields.flag(parameters, "binary_data", default=binary),
            classes=fields.number(parameters, "classification"),
        )
    return tuple(found.values())
