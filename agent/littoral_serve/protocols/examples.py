"""Examples, as TensorFlow calls them: what is classified and regressed, feature by feature.

A feature bears the name of the input that it is for. Whole numbers are taken where floats are
expected, though TensorFlow refuses them: JSON knows no difference. Bytes are an input's elements,
little-endian. The messages are TensorFlow's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from littoral.model.backends import Array
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature, View

CLASSIFY: Final = "tensorflow/serving/classify"
REGRESS: Final = "tensorflow/serving/regress"
_SCORES: Final = "scores"  # of several outputs, the one that is a classification's
_RANK: Final = 2  # of such an output

Classes = list[tuple[str, np.float32]]  # of one example, in the model's order


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of one example: numbers, or pieces of bytes."""

    kind: Literal["bytes", "float", "int64"]
    values: Any  # an array, or a list of bytes


Example = Mapping[str, Feature]


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a release: its signature, seen as real numbers, and one of its outputs."""

    method: str
    signature: Signature
    output: int

    def classes(self, outputs: Sequence[Array], label: Callable[[int], str]) -> list[Classes]:
        """Return each example's classes, all of them."""
        scores = outputs[self.output]
        names = [label(k) for k in range(scores.shape[1])]
        return [list(zip(names, row, strict=True)) for row in scores]

    def values(self, outputs: Sequence[Array]) -> Array:
        """Return each example's value."""
        return outputs[self.output].reshape(-1)


def task(live: Live, method: str, name: str) -> Task:
    """Return what ``method`` comes to under the signature ``name``; empty: the default one.

    Raises:
        InvalidArgumentError: The release has no outputs that can be read so.

    """
    asked = live.signatures.get(name or DEFAULT)
    if asked is None:
        raise InvalidArgumentError(f"No signature was found with the name: {name or DEFAULT}")
    if live.batch is None:
        raise InvalidArgumentError(
            f"{live.model} takes no batches: it can only be asked to predict"
        )
    outputs = live.signatures["float"].outputs
    at = _output([view.name for view in outputs], method)
    _check(outputs[at], method)
    return Task(method, Signature(asked.name, asked.inputs, outputs), at)


def _output(names: list[str], method: str) -> int:
    if len(names) == 1:
        return 0
    if method == CLASSIFY and _SCORES in names:
        return names.index(_SCORES)
    what = (
        f'one output Tensor, or one named "{_SCORES}"'
        if method == CLASSIFY
        else "one output Tensor"
    )
    raise InvalidArgumentError(f"Expected {what}, found {len(names)}: {','.join(names)}")


def _check(view: View, method: str) -> None:
    shape, text = view.spec.shape, _shape(view.spec.shape)
    if method == CLASSIFY and len(shape) != _RANK:
        raise InvalidArgumentError(
            f"Expected Tensor shape: [batch_size num_classes] but got {text}"
        )
    if method == REGRESS and shape[1:] not in {(), (1,)}:
        raise InvalidArgumentError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {text}"
        )


def arrays(signature: Signature, examples: Sequence[Example], context: Example) -> list[Array]:
    """Return the inputs that ``examples`` come to; what one lacks may stand in ``context``.

    Raises:
        InvalidArgumentError: They lack a feature, or it is of another kind or size.

    """
    if not examples:
        raise InvalidArgumentError("Input is empty.")
    return [
        np.stack(
            [_array(example.get(view.name) or context.get(view.name), view) for example in examples]
        )
        for view in signature.inputs
    ]


def _array(feature: Feature | None, view: View) -> Array:
    if feature is None or not len(feature.values):
        raise InvalidArgumentError(
            f"Name: <unknown>, Feature: {view.name} (data type: {_kind(view)}) is required "
            "but could not be found."
        )
    if feature.kind == "bytes":
        return _elements(feature.values, view)
    values: Array = feature.values
    if values.size != np.prod(view.instance, dtype=np.int64):
        raise InvalidArgumentError(
            f"Key: {view.name}.  Number of {feature.kind} values != expected.  "
            f"values size: {values.size} but output shape: {_shape(view.instance)}"
        )
    if feature.kind == "float" and _kind(view) != "float":
        raise InvalidArgumentError(
            f"Key: {view.name}.  Data types don't match. Data type: float but expected type: int64"
        )
    return _cast(values, view).reshape(view.instance)


def _cast(values: Array, view: View) -> Array:
    with np.errstate(over="ignore"):
        made = values.astype(view.dtype)
    if _kind(view) != "float" and not np.array_equal(made.astype(values.dtype), values):
        raise InvalidArgumentError(f"Key: {view.name}.  A value does not fit in {view.dtype}")
    return made


def _elements(pieces: list[bytes], view: View) -> Array:
    data = b"".join(pieces)
    dtype = np.dtype(view.dtype).newbyteorder("<")
    if len(data) != dtype.itemsize * np.prod(view.instance, dtype=np.int64):
        raise InvalidArgumentError(
            f"Key: {view.name}.  Data types don't match. Data type: string but expected type: "
            f"{_kind(view)}, or the bytes of {view.dtype} in shape {_shape(view.instance)}, "
            f"found {len(data)} bytes"
        )
    return np.frombuffer(data, dtype).reshape(view.instance)


def _kind(view: View) -> str:
    return "float" if view.dtype.startswith("float") else "int64"


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
