"""A Keras 3 model rebuilt in tf-keras, and believed only where both answer alike.

TensorFlow's converter knows an LSTM only where tf-keras wrote it. Each Keras has a process of its
own: ``leave`` runs where Keras 3 is, and leaves the model's description, its weights, and what it
answers to a few samples; ``rebuild`` runs where tf-keras is. Nothing of it is a pickle or code.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter import legacy_graph, legacy_layers
from littoral_converter.importers import halves
from littoral_converter.worker import Progress, Say

MODEL: Final = "legacy-model.json"
WEIGHTS: Final = "legacy-weights.npz"
PROBES: Final = "legacy-probes.npz"
PROBED: Final = 8  # samples that are asked
_MARKS: Final = 64  # values kept of each layer's output: enough to see which one differs
_FAR: Final = 1e-4  # of the largest answer: float32's own noise is a tenth of it in deep models


def leave(model: Any, samples: NDArray[np.float32], folder: Path) -> None:  # noqa: ANN401
    """Write MODEL, WEIGHTS and PROBES of ``model``, which Keras 3 has loaded.

    Raises:
        ConversionError: It is a class of its own.

    """
    import keras

    told = json.loads(model.to_json())
    if told["class_name"] not in legacy_graph.MODELS:
        raise ConversionError(
            f"the model is a class of its own ({told['class_name']}), and code is never run from a "
            "file; save it as a sequential or functional model"
        )
    model, rounds = halves.in_floats(keras, model)  # both Kerases round, each in its own way
    if rounds:
        told = json.loads(model.to_json())
    weights: dict[str, Any] = dict(_weights(model, ""))
    (folder / MODEL).write_text(json.dumps(told))
    np.savez(folder / WEIGHTS, **weights)
    probes: dict[str, Any] = _marks(keras, model, samples)
    np.savez(folder / PROBES, samples=samples, answers=_ask(model, samples), **probes)


def rebuild(folder: Path, *, say: Say) -> Any:  # noqa: ANN401
    """Return the model that ``leave`` left in ``folder``, as tf-keras has it.

    Raises:
        ConversionError: tf-keras lacks a layer of it, or answers otherwise; names the layer.

    """
    say(Progress(stage="rebuilding the model in tf-keras"))
    import tf_keras

    told = json.loads((folder / MODEL).read_text())
    with tf_keras.utils.custom_object_scope(legacy_layers.functions()):
        model = legacy_graph.model(told)
    with np.load(folder / WEIGHTS, allow_pickle=False) as weights:
        _fill(model, weights, "")
    with np.load(folder / PROBES, allow_pickle=False) as probes:
        _prove(tf_keras, model, probes)
    return model


def _weights(model: Any, above: str) -> Iterator[tuple[str, NDArray[Any]]]:  # noqa: ANN401
    for layer in model.layers:
        if hasattr(layer, "layers") and hasattr(layer, "to_json"):
            yield from _weights(layer, f"{above}{layer.name}/")
            continue
        for k, value in enumerate(layer.get_weights()):
            yield f"{above}{layer.name}/{k}", value


def _ask(model: Any, samples: NDArray[np.float32]) -> NDArray[np.float32]:  # noqa: ANN401
    return np.asarray(model(samples, training=False), np.float32)


def _marks(keras: Any, model: Any, samples: NDArray[np.float32]) -> dict[str, NDArray[Any]]:  # noqa: ANN401
    """Return a few values of each layer's output, by ``layer:`` and its name."""
    seen = {}
    for layer in model.layers:
        try:
            output = layer.output
        except (AttributeError, ValueError):  # used twice: not one output but several
            continue
        if not isinstance(output, list | tuple | dict):
            seen[layer.name] = output
    found = keras.Model(model.inputs[0], list(seen.values()))(samples, training=False)
    found = found if isinstance(found, list | tuple) else [found]
    return {f"layer:{name}": _mark(value) for name, value in zip(seen, found, strict=True)}


def _mark(value: Any) -> NDArray[np.float32]:  # noqa: ANN401
    flat = np.asarray(value, np.float32).reshape(-1)
    at = np.linspace(0, len(flat) - 1, min(_MARKS, len(flat))).astype(np.intp)
    return np.take(flat, at)


def _fill(model: Any, weights: Any, above: str) -> None:  # noqa: ANN401
    for layer in model.layers:
        if hasattr(layer, "layers") and hasattr(layer, "to_json"):
            _fill(layer, weights, f"{above}{layer.name}/")
            continue
        wanted = [tuple(value.shape) for value in layer.weights]
        given = [weights[key] for key in _keys(weights, f"{above}{layer.name}/")]
        if wanted != [value.shape for value in given]:
            raise ConversionError(
                f"layer {layer.name!r} ({type(layer).__name__}): tf-keras has weights of {wanted}, "
                f"Keras 3 of {[value.shape for value in given]}"
            )
        layer.set_weights(given)


def _keys(weights: Any, prefix: str) -> Iterator[str]:  # noqa: ANN401
    for k in itertools.count():
        if f"{prefix}{k}" not in weights:
            return
        yield f"{prefix}{k}"


def _prove(tf_keras: Any, model: Any, probes: Any) -> None:  # noqa: ANN401
    samples, told = probes["samples"], probes["answers"]
    found = _ask(model, samples)
    if found.shape == told.shape and _near(found, told):
        return
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    for name, marks in _marks(tf_keras, model, samples).items():
        if name in probes and not _near(marks, probes[name]):
            layer = name.removeprefix("layer:")
            raise ConversionError(
                f"layer {layer!r} ({kinds[layer]}) answers otherwise in tf-keras than in Keras 3"
            )
    raise ConversionError("the model answers otherwise in tf-keras than in Keras 3")


def _near(found: NDArray[np.float32], told: NDArray[np.float32]) -> bool:
    if found.shape != told.shape or not np.isfinite(told).all():
        return False
    return bool(np.abs(found - told).max(initial=0.0) <= _FAR * np.abs(told).max(initial=0.0))
