"""Which operators LiteRT runs, asked of LiteRT."""

from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from littoral.bundle.runtimes import Range
from littoral.errors import BackendError
from littoral.model import registered
from littoral.model.backends import open_session

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_the_names_are_the_schemas_in_its_order() -> None:
    members = vars(schema.BuiltinOperator).items()
    known = sorted((number, name) for name, number in members if isinstance(number, int))
    assert [(number, name) for number, name in enumerate(registered.NAMES)] == known


def test_the_file_says_what_it_should() -> None:
    model = schema.ModelT.InitFromPackedBuf(registered.file_with(3, 7), 0)
    (code,) = model.operatorCodes
    assert (code.builtinCode, code.version, model.version) == (3, 7, 3)
    assert len(model.subgraphs) == 1


def test_what_a_model_that_runs_here_uses_is_known() -> None:
    data = (FIXTURES / "tiny_int8.tflite").read_bytes()
    open_session("litert", data)
    codes = schema.ModelT.InitFromPackedBuf(data, 0).operatorCodes
    used = {registered.NAMES[max(c.builtinCode, c.deprecatedBuiltinCode)]: c.version for c in codes}
    assert used
    assert registered.unknown(used) == {}


def test_what_is_too_new_is_told_with_what_is_known() -> None:
    found = registered.unknown({"CONV_2D": 99, "ADD": 1, "PAD": 2**31 - 1})
    assert found.keys() == {"CONV_2D", "PAD"}
    last = found["CONV_2D"]
    assert 5 <= last < 99
    assert registered.unknown({"CONV_2D": last}) == {}
    assert registered.unknown({"CONV_2D": last + 1}) == {"CONV_2D": last}


def test_a_runtime_refuses_the_model_for_the_very_operator_that_is_told() -> None:
    """The answer is the runtime's: a real model in that version is refused, one below is not."""
    model = schema.ModelT.InitFromPackedBuf((FIXTURES / "tiny_int8.tflite").read_bytes(), 0)
    code = model.operatorCodes[0]
    name = registered.NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    last = registered.unknown({name: 1000})[name]

    def packed(version: int) -> bytes:
        code.version = version
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    open_session("litert", packed(last))
    with pytest.raises(BackendError, match=name):
        open_session("litert", packed(last + 1))


@pytest.mark.parametrize("name", ["CUSTOM", "DELEGATE", "NOPE", "conv_2d"])
def test_what_no_runtime_runs_by_name_is_unknown(name: str) -> None:
    assert registered.unknown({name: 1}) == {name: 0}


def test_the_version_is_one() -> None:
    assert Range.parse("litert>=1.0").admits(registered.version())
