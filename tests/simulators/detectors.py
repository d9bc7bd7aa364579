"""Detectors small enough to be written here, by hand: no training, no TensorFlow.

``finder`` finds red and blue squares in a picture; what it ends in is TensorFlow's own
post-processing operator, or its inputs. ``postprocess`` is that operator alone, and so a judge
of what we make of offsets, anchors and scores.
"""

import io
from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from littoral.bundle.preprocessing import Preprocessing
from simulators.served import Device, Release

SIDE = 64
SQUARE = 24  # pixels: what the finder looks for
LABELS = ("red", "blue")
_GRID = (SIDE - SQUARE) // 8 + 1
MOST = 10


def picture(width: int = 640, height: int = 640, kind: str = "PNG") -> bytes:
    """Return a file: a red square at (8, 16), a blue one at (32, 32); 64 are the longer side.

    Where it is padded to a square, they are there.
    """
    image = Image.new("RGB", (width, height), (128, 128, 128))
    unit = max(width, height) / SIDE
    left, top = (width - SIDE * unit) / 2, (height - SIDE * unit) / 2
    pen = ImageDraw.Draw(image)
    for y, x, colour in ((8, 16, (255, 0, 0)), (32, 32, (0, 0, 255))):
        at = (left + x * unit, top + y * unit)
        pen.rectangle((*at, at[0] + SQUARE * unit - 1, at[1] + SQUARE * unit - 1), fill=colour)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def release(device: Device, name: str = "squares") -> Release:
    """Put the finder into ``device`` as a release that names its task, preprocessing, labels."""
    one = device.add(name, data=finder(), golden_of=finder()).manifest
    (source,) = one.inputs
    wanted = Preprocessing(resize="pad", fill=128, range=(0.0, 1.0))
    return device.put(
        replace(
            one,
            task="detection",
            inputs=(replace(source, preprocessing=wanted),),
            files={**one.files, "labels.txt": device.blob("\n".join(LABELS).encode())},
            labels="labels.txt",
        )
    )


class Graph:
    """A .tflite file in the making."""

    def __init__(self) -> None:
        self._model: Any = schema.ModelT()
        self._model.version, self._model.description = 3, b"made by hand"
        self._model.operatorCodes, self._model.buffers = [], []
        self._sub: Any = schema.SubGraphT()
        self._sub.tensors, self._sub.operators = [], []
        self._buffer(b"")

    def tensor(self, name: str, shape: tuple[int, ...], data: NDArray[Any] | None = None) -> int:
        one: Any = schema.TensorT()
        one.name, one.shape = name.encode(), list(shape)
        one.type = schema.TensorType.FLOAT32
        if data is not None:
            one.buffer = self._buffer(np.ascontiguousarray(data).tobytes())
            if data.dtype == np.int32:
                one.type = schema.TensorType.INT32
        self._sub.tensors.append(one)
        return len(self._sub.tensors) - 1

    def add(self, builtin: int, ins: list[int], outs: list[int], options: Any = None) -> None:
        operator = self._operator(builtin, ins, outs)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options

    def custom(self, name: str, ins: list[int], outs: list[int], **said: float | bool) -> None:
        builder: Any = flexbuffers.Builder()
        with builder.Map():
            for key, value in said.items():
                builder.Key(key)
                {bool: builder.Bool, int: builder.Int}.get(type(value), builder.Float)(value)
        operator = self._operator(schema.BuiltinOperator.CUSTOM, ins, outs, name=name)
        operator.customOptions = list(builder.Finish())
        operator.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS

    def to_bytes(self, inputs: list[int], outputs: list[int]) -> bytes:
        self._sub.inputs, self._sub.outputs = inputs, outputs
        self._model.subgraphs = [self._sub]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _buffer(self, data: bytes) -> int:
        one: Any = schema.BufferT()
        one.data = np.frombuffer(data, np.uint8) if data else None
        self._model.buffers.append(one)
        return len(self._model.buffers) - 1

    def _operator(self, builtin: int, ins: list[int], outs: list[int], name: str = "") -> Any:
        code: Any = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
        code.customCode = name.encode() or None
        self._model.operatorCodes.append(code)
        operator: Any = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = ins, outs
        self._sub.operators.append(operator)
        return operator


def finder(*, order: tuple[int, int, int, int] = (0, 1, 2, 3)) -> bytes:
    """Return a model [1, 64, 64, 3] (0 to 1) of four outputs: corners, classes, scores, number.

    ``order`` is the one in which they leave, as other exporters have another.
    """
    graph = Graph()
    picture = graph.tensor("picture", (1, SIDE, SIDE, 3))
    offsets, scores = _head(graph, picture)
    outs = _processed(graph, offsets, scores, anchors(), classes=len(LABELS), least=0.3)
    return graph.to_bytes([picture], [outs[k] for k in order])


def postprocess(from_anchors: NDArray[np.float32], *, classes: int, least: float) -> bytes:
    """Return the operator alone: offsets and scores in, its four outputs out."""
    graph, n = Graph(), len(from_anchors)
    offsets = graph.tensor("offsets", (1, n, 4))
    scores = graph.tensor("scores", (1, n, classes + 1))
    outs = _processed(graph, offsets, scores, from_anchors, classes=classes, least=least)
    return graph.to_bytes([offsets, scores], outs)


def anchors() -> NDArray[np.float32]:
    """Return the finder's: a box of the square's size for each place that it looks at."""
    middles = (np.arange(_GRID) * 8 + SQUARE / 2) / SIDE
    y, x = np.meshgrid(middles, middles, indexing="ij")
    sizes = np.full((_GRID * _GRID, 2), SQUARE / SIDE)
    return np.concatenate([np.stack([y.ravel(), x.ravel()], 1), sizes], 1).astype(np.float32)


def _head(graph: Graph, picture: int) -> tuple[int, int]:
    """Add what looks: how much redder, or bluer, than anything else each place is."""
    colours = np.array([[0, 0, 0], [1, -0.5, -0.5], [-0.5, -0.5, 1]], np.float32) * 20
    weights = np.broadcast_to(colours[:, None, None] / SQUARE**2, (3, SQUARE, SQUARE, 3))
    grid = graph.tensor("grid", (1, _GRID, _GRID, 3))
    options: Any = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 8, 8
    options.dilationHFactor = options.dilationWFactor = 1
    graph.add(
        schema.BuiltinOperator.CONV_2D,
        [
            picture,
            graph.tensor("weights", weights.shape, weights.astype(np.float32)),
            graph.tensor("bias", (3,), np.full(3, -15, np.float32)),
        ],
        [grid],
        options,
    )
    n = _GRID * _GRID
    flat, scores = graph.tensor("flat", (1, n, 3)), graph.tensor("scores", (1, n, 3))
    shape = graph.tensor("shape", (3,), np.array([1, n, 3], np.int32))
    graph.add(schema.BuiltinOperator.RESHAPE, [grid, shape], [flat])
    graph.add(schema.BuiltinOperator.LOGISTIC, [flat], [scores])
    return graph.tensor("offsets", (1, n, 4), np.zeros((1, n, 4), np.float32)), scores


def _processed(
    graph: Graph,
    offsets: int,
    scores: int,
    from_anchors: NDArray[np.float32],
    *,
    classes: int,
    least: float,
) -> list[int]:
    names = {"": (1, MOST, 4), ":1": (1, MOST), ":2": (1, MOST), ":3": (1,)}
    outs = [graph.tensor(f"TFLite_Detection_PostProcess{n}", s) for n, s in names.items()]
    graph.custom(
        "TFLite_Detection_PostProcess",
        [offsets, scores, graph.tensor("anchors", from_anchors.shape, from_anchors)],
        outs,
        max_detections=MOST,
        max_classes_per_detection=1,
        detections_per_class=100,
        use_regular_nms=True,
        nms_score_threshold=least,
        nms_iou_threshold=0.6,
        num_classes=classes,
        y_scale=10.0,
        x_scale=10.0,
        h_scale=5.0,
        w_scale=5.0,
    )
    return outs
