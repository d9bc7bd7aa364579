from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from converter.crops import SHARED
from littoral_converter import check
from littoral_converter.ptq import backend, usage, versions
from littoral_converter.ptq.quantize import quantize

FIXTURES = Path(__file__).parents[2] / "fixtures"
_OTHERS = {
    "model_invoking_error.tflite",  # damaged
    "deeplabv3_mnv2_dm05_pascal_quant.tflite",  # made before there were rules for dilations
    "kws_ref_model_float32.tflite",  # its versions are those of the model that it came from
}
_WRITTEN = sorted(
    path
    for folder in (FIXTURES, SHARED / "models/coral", SHARED / "models/mlperf_tiny")
    for path in folder.glob("*.tflite")
    if path.name not in _OTHERS and not path.stem.endswith("_edgetpu")
)


def opened(data: bytes) -> Any:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(data))


def used(model: Any) -> dict[str, int]:
    """Return the last version of each kind: old files have one code for all of a kind."""
    names = usage.names("BuiltinOperator")
    codes = [model.operatorCodes[o.opcodeIndex] for g in model.subgraphs for o in g.operators]
    pairs = [(names[max(c.builtinCode, c.deprecatedBuiltinCode)], c.version) for c in codes]
    return dict(sorted(pairs))


@pytest.mark.parametrize("path", _WRITTEN, ids=lambda path: path.stem)
def test_they_are_those_that_tensorflow_wrote(path: Path) -> None:
    model = opened(path.read_bytes())
    wanted = used(model)
    for code in model.operatorCodes:
        if code.customCode is None:
            code.version = 1
    versions.settle(model)
    assert used(model) == wanted


def test_weights_alone_ask_for_other_kernels(tiny: bytes) -> None:
    found = check.read(backend.cast(tiny, "dynamic")).versions
    assert (found["CONV_2D"], found["FULLY_CONNECTED"]) == (5, 12)
    assert check.read(backend.cast(tiny, "weights")).versions["DEQUANTIZE"] == 5
    assert check.read(backend.cast(tiny, "float16")).versions["DEQUANTIZE"] == 3


def test_what_is_quantized_here_says_so(tiny: bytes, digits: NDArray[np.float32]) -> None:
    made = check.read(quantize(tiny, digits[:40], steps=()).model)
    assert made.versions["CONV_2D"] == made.versions["DEPTHWISE_CONV_2D"] == 3
    assert made.versions["FULLY_CONNECTED"] == 4
    assert made.versions["SOFTMAX"] == 2
    assert made.min_runtime is None, "the float model's word holds no longer"
