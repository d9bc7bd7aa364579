from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from converter.conftest import Converted
from littoral.errors import ConversionError, MalformedError
from littoral_converter import check
from littoral_converter.check import Graph, Operator

FIXTURES = Path(__file__).parents[1] / "fixtures"
CORAL = Path(__file__).parents[3] / "shared/models/coral"


def test_a_converted_model_is_fully_integer(digits: Converted) -> None:
    found = check.read((digits.bundle / "model-int8.tflite").read_bytes())
    assert found.fully_integer
    assert found.counts == {
        "CONV_2D": 2,
        "FULLY_CONNECTED": 1,
        "MAX_POOL_2D": 1,
        "RESHAPE": 1,
        "SOFTMAX": 1,
    }
    assert all(o.version >= 1 for o in found.operators)
    assert 5_000 < found.constant_bytes < 20_000


def test_a_float_model_is_not_and_its_operators_are_named() -> None:
    found = check.read((FIXTURES / "tiny_float.tflite").read_bytes())
    assert not found.fully_integer
    with pytest.raises(ConversionError, match=r"not fully integer: .*CONV_2D.*allow_float = true"):
        check.require_integer(found, allow_float=False)
    check.require_integer(found, allow_float=True)


@pytest.mark.parametrize(
    ("code", "narrow", "name"), [(150, 127, "GELU"), (0, 9, "FULLY_CONNECTED"), (3, 3, "CONV_2D")]
)
def test_operators_are_known_in_old_files_and_beyond_the_old_field(
    code: int, narrow: int, name: str
) -> None:
    kind = schema.OperatorCodeT()
    kind.builtinCode, kind.deprecatedBuiltinCode = code, narrow
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators = [], [schema.OperatorT()]
    model.operatorCodes, model.subgraphs, model.version = [kind], [graph], 3
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    assert check.read(bytes(builder.Output())).counts == {name: 1}


def test_custom_operators_and_bad_scales_are_not_fully_integer() -> None:
    custom = Operator(name="Flex", version=1, count=2, custom=True)
    graph = Graph(operators=(custom,), constant_bytes=0, min_runtime=None)
    with pytest.raises(ConversionError, match="2 Flex"):
        check.require_integer(graph, allow_float=False)
    scaled = Graph(operators=(), constant_bytes=0, min_runtime=None, bad_scales=("conv/w",))
    with pytest.raises(ConversionError, match="tensor conv/w"):
        check.require_integer(scaled, allow_float=False)


def test_of_each_operator_the_last_version_is_what_a_runtime_must_know() -> None:
    used = [("ADD", 3), ("ADD", 1), ("CONV_2D", 0)]
    operators = [Operator(name=name, version=version, count=1) for name, version in used]
    operators.append(Operator(name="Flex", version=1, count=1, custom=True))
    graph = Graph(operators=tuple(operators), constant_bytes=0, min_runtime=None)
    assert graph.versions == {"ADD": 3, "CONV_2D": 1}


def test_what_is_no_tflite_model_is_refused() -> None:
    with pytest.raises(MalformedError, match="expected a TFLite model"):
        check.read(b"PK\x03\x04....")


def test_a_damaged_model_is_refused_and_never_more_than_that() -> None:
    """Cut and flipped anywhere, it is read, or refused as malformed; nothing else."""
    whole = (FIXTURES / "tiny_int8.tflite").read_bytes()
    refused = 0
    for at in range(8, min(len(whole), 4000), 7):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                check.read(data)
            except MalformedError:
                refused += 1
    assert refused > 100


@pytest.mark.skipif(not CORAL.is_dir(), reason="the collection of public models is not here")
def test_public_models_are_read() -> None:
    compiled = check.read((CORAL / "mobilenet_v1_0.25_128_quant_edgetpu.tflite").read_bytes())
    assert compiled.counts == {"edgetpu-custom-op": 1}
    plain = check.read((CORAL / "mobilenet_v1_0.25_128_quant.tflite").read_bytes())
    assert plain.fully_integer
    assert sum(plain.counts.values()) == 31
