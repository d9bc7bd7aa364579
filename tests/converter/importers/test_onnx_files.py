"""ONNX files as they may come: weights elsewhere, inputs of other kinds, shapes that are open."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from littoral.errors import ConversionError, MalformedError
from littoral_converter.importers import layout, onnx_files


def model(
    path: Path,
    *,
    shape: tuple[int | str, ...] = ("n", 3, 8, 8),
    kind: int = TensorProto.FLOAT,
    domain: str = "",
    weights: str | None = None,
) -> Path:
    """Write a model of one convolution; ``weights`` says in which file they lie."""
    rank = len(shape)
    kernel = np.ones((2, 3, *(1,) * (rank - 2)), np.float32)
    tensor = numpy_helper.from_array(kernel, "w")
    if weights is not None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=weights)
    op = "Conv" if domain == "" else "Strange"
    nodes = [helper.make_node(op, ["x", "w"], ["y"], domain=domain)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, (shape[0], 2, *shape[2:]))],
        [tensor],
    )
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    path.write_bytes(made.SerializeToString())
    return path


def test_the_ends_are_told_with_what_is_open(tmp_path: Path) -> None:
    found = onnx_files.ends(onnx_files.load(model(tmp_path / "m", shape=("n", 3, "h", 8))))
    assert (found.source, found.answer, found.shape) == ("x", "y", (3, None, 8))


def test_a_convolution_says_where_the_channels_are(tmp_path: Path) -> None:
    loaded = onnx_files.load(model(tmp_path / "m"))
    assert layout.channels_first("x", 4, onnx_files.nodes(loaded))


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.full(6, 2, np.float32).tobytes())
    loaded = onnx_files.load(model(tmp_path / "m", weights="w.bin"))
    assert numpy_helper.to_array(loaded.graph.initializer[0]).sum() == 12
    assert onnx_files.parameters(loaded) == 6


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../secret", "link"])
def test_weights_elsewhere_are_not_followed(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(24))
    home = tmp_path / "home"
    (home / "a").mkdir(parents=True)
    (home / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ConversionError, match="outside its folder, which is never followed"):
        onnx_files.load(model(home / "m", weights=place))


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"lie in 'gone\.bin', which is not there"):
        onnx_files.load(model(tmp_path / "m", weights="gone.bin"))


def test_operators_that_only_some_know_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"operators of com\.mine, which only some"):
        onnx_files.load(model(tmp_path / "m", domain="com.mine"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": TensorProto.INT64}, "expected an input of float32, found 'x' of int64"),
        ({"shape": (8, 3, 4, 4)}, "the batch is fixed at 8; export"),
    ],
)
def test_what_is_not_converted_is_told(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    path = model(tmp_path / "m", **changed)
    loaded = onnx.load_model_from_string(path.read_bytes())
    with pytest.raises(ConversionError, match=words):
        onnx_files.ends(loaded)


def test_a_pinned_model_has_no_open_shape(tmp_path: Path) -> None:
    loaded = onnx_files.load(model(tmp_path / "m", shape=("n", 3, "h", "w")))
    onnx_files.pin(loaded, onnx_files.ends(loaded), (3, 6, 4), tmp_path / "pinned")
    found = onnx.load(str(tmp_path / "pinned"))
    shapes = [
        [d.dim_value for d in one.type.tensor_type.shape.dim]
        for one in (*found.graph.input, *found.graph.output)
    ]
    assert shapes == [[1, 3, 6, 4], [1, 2, 6, 4]]


def test_a_cut_file_is_damaged(tmp_path: Path) -> None:
    data = model(tmp_path / "m").read_bytes()
    for n in (10, len(data) // 2, len(data) - 3):
        (tmp_path / "cut").write_bytes(data[:n])
        with pytest.raises(MalformedError, match="the ONNX model is damaged"):
            onnx_files.load(tmp_path / "cut")
