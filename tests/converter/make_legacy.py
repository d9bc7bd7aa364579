"""Makes Keras 3 models, and leaves each one's description in a folder of its name.

Usage: make_legacy.py FOLDER
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import keras
import numpy as np

from littoral.errors import LittoralError
from littoral_converter import legacy

layers = keras.layers


def series() -> keras.Model:
    """Loops, attention, arithmetic, and activations that Keras 2 has not or means otherwise."""
    source = keras.Input((6, 3), name="series")
    x = layers.MultiHeadAttention(2, 4)(source, source) + source
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.LayerNormalization()(x))
    x, *state = layers.LSTM(5, return_sequences=True, return_state=True)(x)
    x = layers.GRU(5)(layers.LSTM(5, return_sequences=True)(x, initial_state=state))
    x = layers.LeakyReLU()(layers.Dense(4, "hard_sigmoid", kernel_regularizer="l2")(x))
    x = layers.Activation("hard_silu")(2.0 - keras.ops.relu(x) * 0.5)
    return keras.Model(source, layers.Dense(3, "softmax")(x))


def pictures() -> keras.Model:
    """A model within a model, a layer used twice, normalization that is frozen."""
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()],
        name="inner",
    )
    source = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 1, name="shared")
    x = layers.Rescaling(1 / 255)(source)
    x = layers.Concatenate()([inner(x, training=False), inner(shared(x)), shared(shared(x))])
    return keras.Model(source, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def halves() -> keras.Model:
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "relu", dtype="mixed_float16"), layers.Dense(2)]
    )


def lacking() -> keras.Model:
    return keras.Sequential(
        [keras.Input((4,)), layers.RMSNormalization(name="root"), layers.Dense(2)]
    )


def sorting() -> keras.Model:
    source = keras.Input((4,))
    return keras.Model(source, layers.Dense(2)(keras.ops.sort(source)))


class Own(keras.Model):  # type: ignore[misc] # Keras has no types
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x: object) -> object:
        return self.dense(x)


def own() -> keras.Model:
    model = Own()
    model(np.zeros((1, 4)))
    return model


def main(folder: Path) -> None:
    makers: tuple[Callable[[], keras.Model], ...]
    makers = (series, pictures, halves, lacking, sorting, own)
    for make in makers:
        keras.utils.set_random_seed(1)
        model, at = make(), folder / make.__name__
        at.mkdir()
        shape = (4,) if isinstance(model, Own) else model.inputs[0].shape[1:]
        samples = np.random.default_rng(0).random((8, *shape), dtype=np.float32)
        try:
            legacy.leave(model, samples, at)
        except LittoralError as e:
            (at / "refused").write_text(e.line)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
