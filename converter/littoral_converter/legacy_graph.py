"""Layers of a Keras 3 description put together in tf-keras, as they were.

Reads Keras 3's own words about a model: its layers, and with what each is called.
"""

from typing import Any, Final

from littoral.errors import ConversionError
from littoral_converter import legacy_layers

MODELS: Final = ("Functional", "Model", "Sequential")
# What Keras 3 writes down of a call though nobody asked for it; masks find their way themselves.
_IMPLIED: Final = ("mask", "query_mask", "value_mask", "key_mask")
_Tensor = tuple[
    str, int, int
]  # the layer that makes it, at which of its calls, which of its outputs


def model(told: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return the tf-keras model that ``told``, of Keras 3's ``to_json``, describes.

    Raises:
        ConversionError: tf-keras has no such layer; names it.

    """
    import tf_keras

    config = told["config"]
    if told["class_name"] != "Sequential":
        return _Functional(tf_keras, config).model()
    made = tf_keras.Sequential([_layer(tf_keras, one) for one in config["layers"]], config["name"])
    if not made.built:
        raise ConversionError(f"model {config['name']!r} does not say what its input is")
    return made


def _layer(tf_keras: Any, told: dict[str, Any]) -> Any:  # noqa: ANN401
    if told["class_name"] in MODELS:
        return model(told)
    if told["class_name"] != "InputLayer":
        return legacy_layers.make(told)
    config = told["config"]
    batch, *shape = config["batch_shape"]
    return tf_keras.layers.InputLayer(
        input_shape=tuple(shape), batch_size=batch, dtype=config["dtype"], name=config["name"]
    )


class _Functional:
    """Calls layers one after the other, each as soon as what it needs is there."""

    def __init__(self, tf_keras: Any, config: dict[str, Any]) -> None:  # noqa: ANN401
        self._tf_keras, self._config = tf_keras, config
        self._layers: dict[str, Any] = {}
        self._tensors: dict[_Tensor, Any] = {}

    def model(self) -> Any:  # noqa: ANN401
        waiting = [
            (one, k, call)
            for one in self._config["layers"]
            for k, call in enumerate(one["inbound_nodes"] or [{"args": [], "kwargs": {}}])
        ]
        while waiting:
            ready = [one for one in waiting if self._known(one[2])]
            if not ready:
                name = waiting[0][0]["config"]["name"]
                raise ConversionError(f"layer {name!r}: nothing makes what it is called with")
            for told, k, call in ready:
                self._keep(told["config"]["name"], k, self._call(told, call))
            waiting = [one for one in waiting if one not in ready]
        return self._tf_keras.Model(
            self._ends("input_layers"), self._ends("output_layers"), name=self._config["name"]
        )

    def _call(self, told: dict[str, Any], call: dict[str, Any]) -> Any:  # noqa: ANN401
        name = told["config"]["name"]
        args = [self._filled(value) for value in call["args"]]
        given = {
            key: self._filled(value)
            for key, value in call["kwargs"].items()
            if value is not None and key not in _IMPLIED
        }
        if not str(told["module"]).startswith("keras.layers") and told["class_name"] not in MODELS:
            return legacy_layers.call(told, args, given)
        if name not in self._layers:
            self._layers[name] = _layer(self._tf_keras, told)
        layer = self._layers[name]
        if told["class_name"] == "InputLayer":
            return layer.output
        try:
            return layer(*args, **_said(told, given))
        except (TypeError, ValueError) as e:
            raise ConversionError(
                f"layer {name!r} ({told['class_name']}): tf-keras cannot call it: {e}"
            ) from e

    def _keep(self, name: str, k: int, made: Any) -> None:  # noqa: ANN401
        outputs = made if isinstance(made, list | tuple) else [made]
        self._tensors |= {(name, k, j): tensor for j, tensor in enumerate(outputs)}

    def _known(self, call: Any) -> bool:  # noqa: ANN401
        match call:
            case {"class_name": "__keras_tensor__", "config": {"keras_history": history}}:
                return tuple(history) in self._tensors
            case dict():
                return all(map(self._known, call.values()))
            case list():
                return all(map(self._known, call))
            case _:
                return True

    def _filled(self, told: Any) -> Any:  # noqa: ANN401
        """Return ``told`` with the tensors that it names."""
        match told:
            case {"class_name": "__keras_tensor__", "config": {"keras_history": history}}:
                return self._tensors[tuple(history)]
            case {"class_name": "__tuple__", "items": items}:
                return tuple(map(self._filled, items))
            case dict():
                return {key: self._filled(value) for key, value in told.items()}
            case list():
                return list(map(self._filled, told))
            case _:
                return told

    def _ends(self, which: str) -> Any:  # noqa: ANN401
        """Return the model's inputs or outputs: one tensor, or as many as there are."""
        named = self._config[which]
        if named and isinstance(named[0], str):
            named = [named]
        found = [self._tensors[tuple(one)] for one in named]
        return found[0] if len(found) == 1 else found


def _said(told: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return what a call says beside its tensors; only a frozen normalization means its `False`."""
    frozen = told["class_name"] == "BatchNormalization"
    return {k: v for k, v in given.items() if k != "training" or v or frozen}
