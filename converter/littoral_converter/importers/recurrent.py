"""What becomes of a model's recurrent layers: fused, unrolled, or left as loops. Rules only.

Reads a model as either Keras describes it (``to_json``). A loop is a graph of its own, which no
quantizer makes integer and on which TensorFlow's calibrator crashes; docs/conversion.md has the
table of what is chosen, and what was measured.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from littoral.errors import ConversionError

# "fusable": one operator each, if tf-keras makes the same model; "loops" stay floats.
Way = Literal["", "fusable", "fused", "unrolled", "loops"]
Wanted = Literal["fuse", "unroll", "keep"]

_LOOPS: Final = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_MOST: Final = 256  # time steps, all layers': beyond, operators are tens of thousands
_SHAPES: Final = frozenset({"batch_shape", "batch_input_shape"})  # as Keras 3 and 2 call it
# With these TensorFlow's converter knows an LSTM as such.
_FUSED: Final = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "recurrent_dropout": 0.0,
    "unroll": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    way: Way = ""
    why: str = ""  # of loops: why nothing better


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    name: str
    kind: str
    config: dict[str, Any]
    steps: int

    @property
    def fusable(self) -> bool:
        known = all(self.config.get(key, value) == value for key, value in _FUSED.items())
        return self.kind == "LSTM" and known


def choose(told: dict[str, Any], shape: tuple[int, ...], wanted: Wanted) -> Choice:
    """Return what is to become of the recurrent layers of ``told``; ``shape``: of one sample.

    Raises:
        ConversionError: A layer keeps its state from one call to the next.

    """
    loops = [loop for loop in _loops(told, shape) if not loop.config.get("unroll")]
    if not loops:
        return Choice()
    for loop in loops:
        if loop.config.get("stateful"):
            raise ConversionError(
                f"layer {loop.name!r} ({loop.kind}) is stateful: its answer depends on what it was "
                "asked before, by whomever; build it with stateful=False, and give it all of a "
                "sequence at once"
            )
    if wanted == "keep":
        return Choice(way="loops", why="of weights that are stored in fewer bits, loops are small")
    mask = next(_masks(told), None)
    if mask is not None:
        return Choice(
            way="loops",
            why=f"layer {mask!r} masks steps, which LiteRT has no integers for; train on sequences "
            "of one length instead",
        )
    if wanted == "fuse" and all(loop.fusable for loop in loops):
        return Choice(way="fusable")
    steps = sum(loop.steps for loop in loops)
    if steps > _MOST:
        return Choice(
            way="loops",
            why=f"they take {steps} time steps, and more than {_MOST} are not unrolled; give "
            "shorter sequences, or take an LSTM with Keras's own activations, which needs none",
        )
    return Choice(way="unrolled")


def rebuilt(keras: Any, model: Any, told: dict[str, Any], shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """Return ``model``, which ``told`` describes, with its loops written out."""
    made = keras.models.model_from_json(json.dumps(unrolled(told, shape)))
    made.set_weights(model.get_weights())
    return made


def unrolled(told: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return ``told`` with its loops written out, for samples of ``shape``."""
    made = copy.deepcopy(told)
    for layer in _layers(made):
        if layer["class_name"] in _LOOPS:
            layer["config"]["unroll"] = True
    for layer in made["config"]["layers"]:  # a model within the model may take something else
        for key in _SHAPES & layer["config"].keys():
            layer["config"][key] = [layer["config"][key][0], *shape]
    return made


def _layers(told: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Walk all that has a class and a configuration, wherever it stands."""
    if isinstance(told, dict):
        if isinstance(told.get("config"), dict) and "class_name" in told:
            yield told
        for value in told.values():
            yield from _layers(value)
    elif isinstance(told, list):
        for value in told:
            yield from _layers(value)


def _loops(told: dict[str, Any], shape: tuple[int, ...]) -> Iterator[_Loop]:
    for layer in _layers(told):
        if layer["class_name"] in _LOOPS:
            built = layer.get("build_config", {}).get("input_shape") or (None, None)
            yield _Loop(
                name=layer["config"].get("name", layer["class_name"]),
                kind=layer["class_name"],
                config=layer["config"],
                # Where nobody says how many, they are those of the input, or fewer.
                steps=(built[1] if len(built) > 1 else None) or (shape[0] if shape else 1),
            )


def _masks(told: dict[str, Any]) -> Iterator[str]:
    for layer in _layers(told):
        if layer["class_name"] == "Masking" or layer["config"].get("mask_zero"):
            yield str(layer["config"].get("name"))
