"""In a child: a program as ONNX, in floating point and in integers that TensorRT takes.

Explicit quantization alone (QuantizeLinear and DequantizeLinear in the graph, symmetric, a scale
a channel for weights): TensorRT 11 has no other, and 8 and 10 take it. No engine is built here: it
would run on this machine's GPU and this version of TensorRT, and nowhere else.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.check import Operator
from littoral_converter.targets import onnx_dense, onnx_graph
from littoral_converter.tf_converter import one_line
from littoral_converter.worker import Progress, Say

FLOAT: Final = "model-float32.onnx"
INT8: Final = "model-int8.onnx"
Ranges = Literal["minmax", "entropy", "percentile"]
_SOFTWARE: Final = ("onnx", "onnxruntime", "tf2onnx")
_EVERY: Final = 32
_TIMED: Final = 100
_TIMED_S: Final = 2.0
_LEAST: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    model: Path  # float TFLite of one signature
    folder: Path  # where FLOAT, INT8 and their answers go: beside each, .npy and .golden.npy
    calibration: Path  # .npy of [n, …] float32
    samples: Path  # .npy of what both are asked
    golden: Path  # .npy of the golden inputs, as real numbers
    input_name: str
    output_name: str
    opset: int
    ranges: Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two models."""

    operators: tuple[Operator, ...]
    constant_bytes: int
    cpu_us: tuple[float, ...]  # of ONNX Runtime on this host's processor, one thread
    wall_us: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    before: Side  # in floating point
    after: Side
    software: dict[str, str]


def run(job: Job, *, say: Say) -> Made:
    """Write FLOAT, INT8 and the answers of both.

    Raises:
        ConversionError: ONNX has no such operator, or TensorRT would not take what came out.

    """
    say(Progress(stage="writing ONNX"))
    model = _from_tflite(job)
    onnx_graph.settle(model, source=job.input_name, answer=job.output_name)
    (job.folder / FLOAT).write_bytes(model.SerializeToString(deterministic=True))
    _quantize(job, say=say)
    before, after = (_ask(job, name, say=say) for name in (FLOAT, INT8))
    software = {name: metadata.version(name) for name in _SOFTWARE}
    return Made(before=before, after=after, software=software)


def _from_tflite(job: Job) -> Any:  # noqa: ANN401
    from tf2onnx import convert

    onnx_dense.mend()
    try:
        model, beside = convert.from_tflite(str(job.model), opset=job.opset)
    except Exception as e:  # it raises whatever its handlers meet
        raise ConversionError(f"tf2onnx cannot write this model as ONNX: {one_line(e)}") from e
    if beside:
        raise ConversionError("the model is larger than the 2 GiB of one ONNX file")
    return model


def _quantize(job: Job, *, say: Say) -> None:
    import onnx
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    say(Progress(stage="preparing the ONNX graph"))
    ready, out = job.folder / "prepared.onnx", job.folder / INT8
    quant_pre_process(str(job.folder / FLOAT), str(ready), skip_symbolic_shape=True)
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }
    samples = _Samples(np.load(job.calibration, mmap_mode="r"), job.input_name, say=say)
    try:
        quantize_static(
            str(ready),
            str(out),
            samples,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=methods[job.ranges],
            op_types_to_quantize=list(onnx_graph.QUANTIZED),
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "QuantizeBias": False,
                # At what goes in, and nowhere else: a pair between a convolution and its
                # activation would keep TensorRT from fusing them.
                "OpTypesToExcludeOutputQuantization": list(onnx_graph.QUANTIZED),
            },
        )
    except (ValueError, RuntimeError, KeyError, AssertionError) as e:
        raise ConversionError(f"ONNX Runtime cannot quantize this model: {one_line(e)}") from e
    model = onnx.load(out)
    onnx_graph.require_explicit(model)
    out.write_bytes(model.SerializeToString(deterministic=True))


class _Samples:
    """What ONNX Runtime's calibrator takes samples from, one at a time."""

    def __init__(self, samples: NDArray[np.float32], name: str, *, say: Say) -> None:
        self._left = self._walk(samples, name, say)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._left, None)

    @staticmethod
    def _walk(
        samples: NDArray[np.float32], name: str, say: Say
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        for done, sample in enumerate(samples):
            if done % _EVERY == 0:
                say(Progress(stage="calibrating ONNX", done=done, of=len(samples)))
            yield {name: sample[None]}


def _ask(job: Job, name: str, *, say: Say) -> Side:
    """Leave the answers to all samples beside the model, and time it."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = job.folder / name
    session = onnxruntime.InferenceSession(
        path, sess_options=options, providers=["CPUExecutionProvider"]
    )
    samples = np.load(job.samples, mmap_mode="r")
    for what, end in ((samples, ".npy"), (np.load(job.golden), ".golden.npy")):
        answers = []
        for done, sample in enumerate(what):
            if done % _EVERY == 0:
                say(Progress(stage=f"running {name}", done=done, of=len(what)))
            (answer,) = session.run([job.output_name], {job.input_name: sample[None]})
            answers.append(answer[0])
        np.save(path.with_suffix(end), np.stack(answers))
    cpu_us, wall_us = _time(session, {job.input_name: samples[:1]})
    model = onnx.load(path)
    return Side(
        operators=onnx_graph.operators(model),
        constant_bytes=onnx_graph.constant_bytes(model),
        cpu_us=cpu_us,
        wall_us=wall_us,
    )


def _time(
    session: Any,  # noqa: ANN401
    asked: dict[str, NDArray[np.float32]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    cpu_us, wall_us, end = [], [], time.monotonic() + _TIMED_S
    for k in range(_TIMED):
        if k >= _LEAST and time.monotonic() > end:
            break
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        session.run(None, asked)
        wall_us.append((time.perf_counter_ns() - wall) / 1e3)
        cpu_us.append((time.process_time_ns() - cpu) / 1e3)
    return tuple(cpu_us), tuple(wall_us)
