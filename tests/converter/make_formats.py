"""One trained CNN in every format that is read, written by a process of its own.

Usage: make_formats.py KERAS_FILE FOLDER

The weights are those of a Keras 3 model, make_models.py's digits or one of that shape for larger
squares; each framework's own program is built with them, and saved by the framework itself.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf_keras
from onnx import helper, numpy_helper


def keras2(side: int, weights: list[np.ndarray], folder: Path) -> None:
    """Keras 2: HDF5, .keras, and a SavedModel of its own kind."""
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.InputLayer((side, side, 1), name="image"),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.set_weights(weights)
    model.save(folder / "keras2.h5")
    model.save(folder / "keras2.keras")
    model.save(folder / "keras2-saved", save_format="tf")


def torchs(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Return the weights as models with their channels first have them."""
    first, first_bias, second, second_bias, dense, dense_bias = weights
    side = round((len(dense) // 24) ** 0.5)
    turned = dense.reshape(side, side, 24, 10).transpose(2, 0, 1, 3).reshape(-1, 10)
    return [
        *(first.transpose(3, 2, 0, 1), first_bias, second.transpose(3, 2, 0, 1), second_bias),
        *(turned.T, dense_bias),
    ]


def onnxs(side: int, weights: list[np.ndarray], path: Path) -> None:
    """ONNX as PyTorch exports it: channels first, the batch open."""
    names = ("w1", "b1", "w2", "b2", "w3", "b3")
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["digit"], axis=1),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", kind, ["n", 1, side, side])],
        [helper.make_tensor_value_info("digit", kind, ["n", 10])],
        [
            numpy_helper.from_array(np.ascontiguousarray(w), n)
            for n, w in zip(names, weights, strict=True)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


def pytorch(side: int, weights: list[np.ndarray], path: Path) -> None:
    """Write an exported program, where PyTorch is installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return
    nn = torch.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(len(weights[4].T), 10), nn.Softmax(1)),
    ).eval()
    with torch.no_grad():
        for kept, value in zip(model.parameters(), weights, strict=True):
            kept.copy_(torch.from_numpy(np.array(value)))
    example = (torch.zeros(2, 1, side, side),)
    shapes = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), path)


def several(folder: Path) -> None:
    """Two signatures, none with the usual name, and one that writes a file where it is asked."""
    module, canary = tf.Module(), str(folder / "canary")
    spec = [tf.TensorSpec([None, 4], tf.float32)]

    def writes(x: Any) -> Any:
        tf.io.write_file(canary, "x")
        return x * 2

    module.writes = tf.function(writes, input_signature=spec)
    module.twice = tf.function(lambda x: x * 2, input_signature=spec)
    signatures = {"twice": module.twice, "writes": module.writes}
    tf.saved_model.save(module, str(folder / "several"), signatures=signatures)


def main() -> None:
    model, folder = keras.saving.load_model(sys.argv[1]), Path(sys.argv[2])
    weights, side = model.get_weights(), model.input_shape[1]
    model.save(folder / "keras3.keras")
    model.save(folder / "keras3.h5")
    model.export(folder / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    (folder / "float.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (folder / "dynamic.tflite").write_bytes(converter.convert())
    converter.target_spec.supported_types = [tf.float16]
    (folder / "half.tflite").write_bytes(converter.convert())
    keras2(side, weights, folder)
    onnxs(side, torchs(weights), folder / "digits.onnx")
    pytorch(side, torchs(weights), folder / "digits.pt2")
    several(folder)


if __name__ == "__main__":
    main()
