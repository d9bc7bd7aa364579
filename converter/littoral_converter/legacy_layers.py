"""A layer as Keras 3 describes it, made in tf-keras: names, settings and activations translated.

Knows what both call differently, and refuses what only one of them has. Weights and answers
are littoral_converter.legacy's.
"""

from typing import Any, Final

from littoral.errors import ConversionError

_RENAMED: Final = {("LeakyReLU", "negative_slope"): "alpha"}
# Settings that tf-keras's layers lack, and that change no answer whatever they say.
_SILENT: Final = frozenset(
    {
        "seed",
        "zero_output_for_mask",
        "optional",
        "sparse",
        "ragged",
        "renorm_clipping",
        "renorm_momentum",
    }
)
# Of keras.ops: what works on two tensors, and what a number makes of one (scale, offset).
_MERGES: Final = {
    "Add": "Add",
    "Subtract": "Subtract",
    "Multiply": "Multiply",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
}
_CURVES: Final = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
}
_PAIR: Final = 2


def make(told: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return the tf-keras layer for ``told``, the description of a layer (or of a wrapped one).

    Raises:
        ConversionError: There is no such layer in tf-keras; names it.

    """
    import tf_keras

    kind, config = told["class_name"], told["config"]
    where = f"layer {config.get('name', kind)!r} ({kind})"
    cls = getattr(tf_keras.layers, kind, None)
    if cls is None or not str(told.get("module", "")).startswith("keras.layers"):
        raise ConversionError(f"{where}: tf-keras has no such layer")
    settings = {}
    for key, value in config.items():
        # Weights follow, so that it does not matter how they would have begun.
        if key.endswith("_initializer") or (key in _SILENT):
            continue
        name = _RENAMED.get((kind, key), key)
        if name not in _known(cls):
            if value in (None, False):
                continue
            raise ConversionError(f"{where}: tf-keras's has no setting {key!r} (here {value!r})")
        settings[name] = _value(key, value)
    try:
        return cls(**settings)
    except (TypeError, ValueError, LookupError, AttributeError) as e:
        raise ConversionError(f"{where}: tf-keras cannot make it: {e}") from e


def call(told: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return what an operation of keras.ops, or of arithmetic on tensors, makes of ``args``.

    Raises:
        ConversionError: No layer of tf-keras does that.

    """
    import tf_keras

    kind, layers, name = told["class_name"], tf_keras.layers, told["config"].get("name")
    numbers = [a for a in args if isinstance(a, int | float)]
    if kind in _CURVES and len(args) == 1 and not kwargs:
        return layers.Activation(_activation(_CURVES[kind]), name=name)(args[0])
    if kind in _MERGES and len(args) == _PAIR and not numbers:
        return getattr(layers, _MERGES[kind])(name=name)(args)
    if len(args) == _PAIR and len(numbers) == 1 and (line := _line(kind, args)) is not None:
        (tensor,) = (a for a in args if not isinstance(a, int | float))
        return layers.Rescaling(scale=line[0], offset=line[1], name=name)(tensor)
    raise ConversionError(f"operation {name!r} ({kind}): no layer of tf-keras does this")


def _line(kind: str, args: list[Any]) -> tuple[float, float] | None:
    """Return scale and offset of what ``kind`` does with a tensor and a number."""
    first = isinstance(args[0], int | float)
    number = float(args[0] if first else args[1])
    match kind:
        case "Add":
            return 1.0, number
        case "Multiply":
            return number, 0.0
        case "Subtract":
            return (-1.0, number) if first else (1.0, -number)
        case "Divide" | "TrueDivide" if not first and number:
            return 1.0 / number, 0.0
        case _:
            return None


def _known(cls: type) -> set[str]:
    """Return the settings that ``cls`` takes by name, and those that every layer takes."""
    import inspect

    return set(inspect.signature(cls).parameters) | {"name", "trainable", "dtype"}


def _value(key: str, value: Any) -> Any:  # noqa: ANN401
    if key == "dtype":
        return "float32"
    if key.endswith("activation"):
        return _activation(value)
    if not isinstance(value, dict) or "class_name" not in value:
        return value
    if value["class_name"] == "__tuple__":
        return tuple(value["items"])
    if str(value.get("module", "")).startswith("keras.layers"):
        return make(value)
    # Without "module" it is Keras 2's form, which looks into tf-keras alone.
    return {"class_name": value["class_name"], "config": value["config"]}


def _activation(told: Any) -> Any:  # noqa: ANN401
    import tf_keras

    if isinstance(told, dict):
        raise ConversionError(
            f"activation {told.get('class_name')!r} is a layer; write it as a layer of its own"
        )
    match told:
        case "hard_sigmoid":
            return hard_sigmoid
        case "hard_silu" | "hard_swish":
            return hard_silu
        case _:
            tf_keras.activations.get(told)
            return told


def hard_sigmoid(x: Any) -> Any:  # noqa: ANN401
    """Answer as Keras 3 does: relu6(x + 3) / 6, where Keras 2 had 0.2 x + 0.5."""
    import tensorflow as tf

    return tf.nn.relu6(x + 3.0) * (1 / 6)


def hard_silu(x: Any) -> Any:  # noqa: ANN401
    return x * hard_sigmoid(x)


def functions() -> dict[str, Any]:
    """Return what a model made here needs as ``custom_objects`` when it is read or cloned."""
    return {"hard_sigmoid": hard_sigmoid, "hard_silu": hard_silu}
