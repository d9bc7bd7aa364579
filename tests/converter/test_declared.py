import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from converter.crops import SHARED
from littoral.model.backends import open_session
from littoral_converter import declared
from littoral_converter.source import Kind, Source


def shape(path: Path, kind: Kind) -> tuple[int, ...] | None:
    return declared.shape(Source(kind=kind, path=path, size=0, sha256=""))


def keras(path: Path, config: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"config": {"layers": [{"config": {"batch_shape": [None, 8, 8, 1]}}]}}, (8, 8, 1)),
        ({"config": {"layers": [{"config": {"batch_shape": [None, None, 8, 1]}}]}}, None),
        ({"build_config": {"input_shape": [1, 5]}}, (5,)),
        ({"config": {"layers": []}}, None),
        ([], None),
    ],
)
def test_keras_writes_it_into_its_config(
    tmp_path: Path, config: Any, expected: tuple[int, ...] | None
) -> None:
    assert shape(keras(tmp_path / "m.keras", config), Kind.KERAS3) == expected


def test_a_real_model_of_keras(models: Path) -> None:
    assert shape(models / "digits.keras", Kind.KERAS3) == (8, 8, 1)
    assert shape(models / "dynamic.keras", Kind.KERAS3) is None


def test_a_tflite_file_says_it() -> None:
    path = SHARED / "models/mlperf_tiny/kws_ref_model_float32.tflite"
    if not path.exists():
        pytest.skip("needs the shared models")
    assert shape(path, Kind.TFLITE) == (49, 10, 1)


def test_onnx_says_it_for_its_inputs_and_constants_are_none(tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], np.ones(1, np.float32))
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 24, 32])
    constant = helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, 24, 32])
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [constant, picture], [answer], [weights])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    assert shape(tmp_path / "m.onnx", Kind.ONNX) == (3, 24, 32)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_damaged_says_nothing(tmp_path: Path, kind: Kind) -> None:
    for data in (b"", b"PK\x03\x04 no archive", b"\x1c\0\0\0TFL3" + bytes(20), b"\x08\x07\x3a\xff"):
        path = tmp_path / "m"
        path.write_bytes(data)
        assert shape(path, kind) is None


def ends(path: Path, kind: Kind = Kind.TFLITE) -> tuple[float, float] | None:
    return declared.ends(Source(kind=kind, path=path, size=0, sha256=""))


def test_a_quantized_input_says_what_black_and_white_are(tmp_path: Path) -> None:
    fixtures = Path(__file__).parents[1] / "fixtures"
    found = ends(fixtures / "tiny_int8.tflite")
    (spec,) = open_session("litert", (fixtures / "tiny_int8.tflite").read_bytes()).inputs
    assert found == pytest.approx(
        (spec.scale * (-128 - spec.zero_point), spec.scale * (127 - spec.zero_point))
    )
    assert ends(fixtures / "tiny_float.tflite") is None
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\0\0\0\0TFL3" + bytes(40))
    assert ends(broken) is None
    assert ends(broken, Kind.ONNX) is None
