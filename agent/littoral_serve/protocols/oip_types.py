"""The Open Inference Protocol's words for tensors, and which view of one a datatype asks for.

A quantized tensor has two: FP32 is what it means, INT8 (UINT8, INT16) what is stored. An input
comes in the view whose datatype it bears. The outputs are seen as the first signature shows
them whose inputs came so; a request may name another.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from littoral.wire.datatypes import DATATYPES
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature, View

BYTES: Final = "BYTES"


def datatype(view: View) -> str:
    return DATATYPES[view.dtype]


def choose(
    known: Mapping[str, Signature], datatypes: Sequence[str], *, model: str, name: str | None
) -> Signature:
    """Return the views in which inputs of such ``datatypes`` come, and the outputs leave.

    Raises:
        InvalidArgumentError: An input has no such view, or there is no signature ``name``.

    """
    if name is not None and name not in known:
        raise InvalidArgumentError(f"signature '{name}' not found for model '{model}'")
    asked = tuple(datatypes)
    for signature in known.values():
        if tuple(datatype(view) for view in signature.inputs) == asked:
            return signature if name is None else _with(signature.inputs, known[name])
    views = [
        _view([signature.inputs[at] for signature in known.values()], wanted, model)
        for at, wanted in enumerate(asked)
    ]
    return _with(views, known[name or DEFAULT])


def _view(views: Sequence[View], wanted: str, model: str) -> View:
    for view in views:
        if datatype(view) == wanted:
            return view
    raise InvalidArgumentError(
        f"inference input '{views[0].name}' data-type is '{wanted}', but model '{model}' "
        f"expects '{' or '.join(dict.fromkeys(datatype(view) for view in views))}'"
    )


def _with(inputs: Sequence[View], shown: Signature) -> Signature:
    return Signature(shown.name, tuple(inputs), shown.outputs)
