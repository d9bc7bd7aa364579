"""Which release is meant by a model's name, a version or a label, in TensorFlow Serving's words.

A version is a release. Only the release that answers can be asked: the one before it stays loaded
for the way back, and may be there because it failed.
"""

from dataclasses import dataclass
from typing import Final

from littoral_serve.running.live import Live, Models
from littoral_serve.running.refusals import InvalidArgumentError, UnknownServableError

DATA_TYPES: Final = {  # what TensorFlow calls them, and their numbers
    "float32": ("DT_FLOAT", 1),
    "int32": ("DT_INT32", 3),
    "uint8": ("DT_UINT8", 4),
    "int16": ("DT_INT16", 5),
    "int8": ("DT_INT8", 6),
    "int64": ("DT_INT64", 9),
    "bool": ("DT_BOOL", 10),
    "float16": ("DT_HALF", 19),
}
_MOST_DIGITS: Final = 19  # of a version


@dataclass(frozen=True, slots=True)
class Spec:
    """Whom a request is for."""

    model: str
    version: int | None = None
    label: str | None = None


def version(digits: str) -> int:
    """Return the version that a path names. Raises InvalidArgumentError."""
    if len(digits) > _MOST_DIGITS or int(digits) >= 2**63:
        raise InvalidArgumentError(f"Failed to convert version: {digits} to numeric.")
    return int(digits)


def find(models: Models, spec: Spec) -> Live:
    """Return the release that answers.

    Raises:
        InvalidArgumentError: It bears another label.
        UnknownServableError: There is no such model, or another release of it answers.

    """
    live = _labelled(models, spec)
    if live is not None and spec.version in (None, live.release):
        return live
    which = f"Latest({spec.model})"
    if spec.version is not None:
        which = f"Specific({spec.model}, {spec.version})"
    raise UnknownServableError(f"Servable not found for request: {which}")


def status(models: Models, spec: Spec) -> Live:
    """Return the release whose state is asked. Raises as ``find``, in other words."""
    live = _labelled(models, spec)
    if live is not None and spec.version in (None, live.release):
        return live
    if spec.version is None:
        raise UnknownServableError(f"Could not find any versions of model {spec.model}")
    raise UnknownServableError(f"Could not find version {spec.version} of model {spec.model}")


def _labelled(models: Models, spec: Spec) -> Live | None:
    live = models.get(spec.model)
    if spec.label is not None and (live is None or spec.label != live.label):
        raise InvalidArgumentError(f"Unrecognized servable version label: {spec.label}")
    return live
