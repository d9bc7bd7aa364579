"""What is chosen for recurrent layers: rules on descriptions, no framework."""

from typing import Any

import pytest

from littoral.errors import ConversionError
from littoral_converter.importers.recurrent import Choice, choose, unrolled

DEFAULTS = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}


def layer(kind: str, *, steps: int = 12, **config: Any) -> dict[str, Any]:
    config = {"name": kind.lower(), **DEFAULTS, "unroll": False, "stateful": False, **config}
    return {
        "class_name": kind,
        "config": config,
        "build_config": {"input_shape": [None, steps, 6]},
    }


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    source = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, None, 6]}}
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [source, *layers]}}


def way(*layers: dict[str, Any], wanted: Any = "fuse") -> str:
    return choose(model(*layers), (12, 6), wanted).way


def test_a_model_without_loops_stays_as_it_is() -> None:
    assert choose(model(), (12, 6), "fuse") == Choice()
    assert way(layer("LSTM", unroll=True)) == ""


def test_lstms_of_keras_own_activations_are_fused_at_any_length() -> None:
    assert way(layer("LSTM"), layer("LSTM", steps=5000)) == "fusable"
    both = layer("Bidirectional", layer=layer("LSTM"), backward_layer=layer("LSTM"))
    assert way(both) == "fusable"


@pytest.mark.parametrize(
    "other",
    [
        layer("GRU"),
        layer("SimpleRNN"),
        layer("ConvLSTM2D"),
        layer("RNN", cell={"class_name": "LSTMCell", "config": {"units": 3}}),
        layer("LSTM", activation="relu"),
        layer("LSTM", recurrent_activation="hard_sigmoid"),
        layer("LSTM", use_bias=False),
        layer("LSTM", recurrent_dropout=0.2),
    ],
    ids=lambda one: one["class_name"],
)
def test_one_that_no_converter_fuses_is_unrolled_and_so_is_what_stands_beside_it(
    other: dict[str, Any],
) -> None:
    assert way(other) == "unrolled"
    assert way(layer("LSTM"), other) == "unrolled"


def test_where_fusing_failed_lstms_are_unrolled() -> None:
    assert way(layer("LSTM"), wanted="unroll") == "unrolled"


def test_too_many_steps_stay_loops_and_the_way_out_is_told() -> None:
    long = choose(model(layer("GRU", steps=200), layer("GRU", steps=57)), (200, 6), "fuse")
    assert long.way == "loops"
    assert "257 time steps, and more than 256 are not unrolled; give shorter" in long.why
    assert way(layer("GRU", steps=256)) == "unrolled"


@pytest.mark.parametrize("mask", [layer("Masking"), layer("Embedding", mask_zero=True)])
def test_masked_steps_stay_loops(mask: dict[str, Any]) -> None:
    masked = choose(model(mask, layer("LSTM")), (12, 6), "fuse")
    assert masked.way == "loops"
    assert f"layer '{mask['config']['name']}' masks steps" in masked.why


def test_loops_are_kept_where_weights_alone_are_rounded() -> None:
    assert way(layer("GRU"), wanted="keep") == "loops"


def test_state_from_one_call_to_the_next_is_refused_however_it_would_be_converted() -> None:
    for wanted in ("fuse", "unroll", "keep"):
        with pytest.raises(ConversionError, match=r"layer 'gru' \(GRU\) is stateful.*=False"):
            way(layer("GRU", stateful=True), wanted=wanted)


def test_unrolling_reaches_every_loop_and_fixes_the_input() -> None:
    both = layer("Bidirectional", layer=layer("GRU"), backward_layer=layer("GRU"))
    told = model(model(both, layer("LSTM")))
    made = unrolled(told, (12, 6))
    assert str(made).count("'unroll': True") == 3
    assert str(told).count("'unroll': True") == 0
    assert made["config"]["layers"][0]["config"]["batch_shape"] == [None, 12, 6]
    inner = made["config"]["layers"][1]["config"]["layers"][0]
    assert inner["config"]["batch_shape"] == [None, None, 6]
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, None, 6]}}
    assert "[None, 12, 6]" in str(unrolled({"config": {"layers": [first]}}, (12, 6)))
