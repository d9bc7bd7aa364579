"""Pairs of releases as a publisher has them: a network, trained on real pictures, then anew.

    .venv/bin/python benchmarks/pairs/training.py FOLDER small|large

Writes base.tflite and its successors. A drift of 5 % is the change of all kernels as a whole,
``|after - before| / |before|``, brought about by training on turned and shifted pictures and by
nothing else. The pictures are MNIST's where ``shared/data/mnist`` is there, else the handwritten
digits of scikit-learn. Takes minutes; what is there already is not made again.
"""

# ruff: noqa: ANN401 (Keras is published without types)

import gzip
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

MNIST = Path(__file__).parents[3] / "shared/data/mnist"
DRIFTS = {"drift-01": 0.01, "drift-05": 0.05, "drift-20": 0.20}
SIZE = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """A MobileNet: how wide each block is, and which of them halve the picture."""

    first: int
    widths: tuple[int, ...]
    halved: tuple[int, ...]


SHAPES = {
    # A quarter of a million weights, most of them pointwise layers'.
    "small": Shape(16, (32, 64, 128, 256, 256, 512), (1, 3, 5)),
    # MobileNet v1 at its full width, with one block more: four millions.
    "large": Shape(32, (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024, 1024), (1, 3, 5)),
}


def pictures() -> tuple[Any, Any]:
    """Return real digits of 32 x 32 in 0 to 1, and what they are."""
    if MNIST.exists():
        raw = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
        told = gzip.decompress((MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes())
        images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28) / 255
        images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
        labels = np.frombuffer(told, np.uint8, offset=8)
    else:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        images, labels = bunch.images.repeat(4, 1).repeat(4, 2) / 16, bunch.target
    return images[..., None].astype(np.float32), labels.astype(np.int32)


def network(shape: Shape, classes: int = 10) -> Any:
    layers = keras.layers
    x = image = keras.Input((SIZE, SIZE, 1), name="image")
    x = layers.Conv2D(shape.first, 3, strides=2, padding="same", use_bias=False)(x)
    for k, width in enumerate(shape.widths):
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        strides = 2 if k in shape.halved else 1
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.Conv2D(width, 1, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="head")(x))


def compiled(model: Any, rate: float) -> Any:
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def trained(shape: Shape, seed: int, images: Any, labels: Any) -> Any:
    keras.utils.set_random_seed(seed)
    model = compiled(network(shape), 2e-3)
    model.fit(images, labels, epochs=4, batch_size=64, verbose=0)
    model.optimizer.learning_rate = 3e-4
    model.fit(images, labels, epochs=2, batch_size=64, verbose=0)
    return model


def copied(shape: Shape, model: Any, classes: int | None = None) -> Any:
    """Return a network of its own with the weights of ``model``; a new head if it is asked."""
    other = network(shape, classes or 10)
    for mine, theirs in zip(other.layers, model.layers, strict=True):
        if mine.name != "head" or classes is None:
            mine.set_weights(theirs.get_weights())
    return other


def kernels(model: Any) -> Any:
    return np.concatenate([np.ravel(w) for w in model.trainable_weights if w.ndim > 1])


def turned(images: Any) -> Any:
    """What a device sees later: the same digits a little aslant, moved and enlarged."""
    move = keras.Sequential(
        [
            keras.layers.RandomRotation(0.08, fill_mode="constant", seed=1),
            keras.layers.RandomTranslation(0.08, 0.08, fill_mode="constant", seed=2),
            keras.layers.RandomZoom(0.1, fill_mode="constant", seed=3),
        ]
    )
    return np.concatenate(
        [np.asarray(move(part, training=True)) for part in np.array_split(images, 20)]
    )


def drifted(shape: Shape, base: Any, images: Any, labels: Any) -> Iterator[tuple[str, Any]]:
    """Train on from ``base``; yield the network whenever it has drifted far enough."""
    keras.utils.set_random_seed(3)
    model, before = compiled(copied(shape, base), 2e-5), kernels(base)
    wanted = dict(DRIFTS)
    while wanted:
        for k in range(0, len(images), 64):
            model.train_on_batch(images[k : k + 64], labels[k : k + 64])
            if k % 256:
                continue
            far = np.linalg.norm(kernels(model) - before) / np.linalg.norm(before)
            for name in [name for name, least in wanted.items() if far >= least]:
                del wanted[name]
                print(f"{name}: {far:.4f}", flush=True)
                yield name, model
                model.optimizer.learning_rate = 4e-4 if len(wanted) == 1 else 1e-4
            if not wanted:
                return


def headed(shape: Shape, base: Any, images: Any, labels: Any, classes: int) -> Any:
    """Return ``base`` with a new head for other classes, the rest as it was."""
    keras.utils.set_random_seed(4)
    model = copied(shape, base, classes)
    for layer in model.layers:
        layer.trainable = layer.name == "head"
    compiled(model, 3e-3).fit(images, labels, epochs=2, batch_size=64, verbose=0)
    return model


def int8(model: Any, samples: Any) -> bytes:
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((1, SIZE, SIZE, 1), tf.float32, name="image")
    archive.add_endpoint("serve", model.call, input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ({"image": s[None]} for s in samples[:200])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def successors(shape: Shape, images: Any, labels: Any) -> Iterator[tuple[str, Any, Any]]:
    """Walk the releases: name, network, what it is calibrated on."""
    base = trained(shape, 1, images, labels)
    later = turned(images)
    yield "base", base, images
    yield "recalibrated", base, later[500:]
    yield "head", headed(shape, base, 1 - images, labels, 10), images
    yield "head-of-4", headed(shape, base, images, labels % 4, 4), images
    for name, model in drifted(shape, base, later, labels):
        yield name, model, later
    yield "anew", trained(shape, 2, images, labels), images


def make(folder: Path, shape: Shape) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "anew.tflite").exists():
        return
    for name, model, samples in successors(shape, *pictures()):
        (folder / f"{name}.tflite").write_bytes(int8(model, samples))
        print(name, flush=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]), SHAPES[sys.argv[2]])
