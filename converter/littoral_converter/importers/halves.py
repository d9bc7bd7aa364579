"""A Keras model that computes in halves, made one that computes in float32.

Mixed precision is for training on other machines: TFLite has no operators in float16, and both
Kerases round on the way. The weights are the same, for their variables are float32, or fit.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

NOTE: Final = (
    "the model computes in {names}, and was converted as if in float32, with the same weights; its "
    "float answers are float32's"
)
_POLICIES: Final = ("DTypePolicy", "Policy")  # as Keras 3 and 2 call what else is a bare name
_HALVES: Final = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16"})


def in_floats(keras: Any, model: Any) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    """Return ``model`` without halves, and a note of it where there were some."""
    told = json.loads(model.to_json())
    found = sorted(set(_replaced(told)))
    if not found:
        return model, ()
    whole = keras.models.model_from_json(json.dumps(told))
    whole.set_weights(model.get_weights())
    return whole, (NOTE.format(names=", ".join(found)),)


def _replaced(told: Any) -> Iterator[str]:  # noqa: ANN401
    """Name the policy of each layer that computes in halves, and write float32 there."""
    if isinstance(told, dict):
        place, key = (
            (told["config"], "name") if told.get("class_name") in _POLICIES else (told, "dtype")
        )
        if isinstance(place.get(key), str) and place[key] in _HALVES:
            yield place[key]
            place[key] = "float32"
        for value in told.values():
            yield from _replaced(value)
    elif isinstance(told, list):
        for value in told:
            yield from _replaced(value)
