"""What a .pt2 may hold that would run, and that none of it reaches PyTorch."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.importers.conftest import FIRST, Read
from littoral.errors import ConversionError, LittoralError, MalformedError
from littoral_converter.importers import pt2

NODE = {
    "target": "torch.ops.aten.relu.default",
    "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
    "outputs": [{"as_tensor": {"name": "relu"}}],
    "metadata": {"stack_trace": "import os; os.system('x')"},
}


def program(**changed: Any) -> dict[str, Any]:
    return {"graph_module": {"graph": {"nodes": [NODE | changed]}}, "guards_code": ["evil()"]}


def rewritten(found: Any) -> Any:
    return pt2.program("m.pt2", found)


def test_a_plain_program_stays_and_loses_its_guards_and_remarks() -> None:
    made = rewritten(program())
    (node,) = made["graph_module"]["graph"]["nodes"]
    assert made["guards_code"] == []
    assert node == NODE | {"metadata": {}}


@pytest.mark.parametrize(
    "target",
    [
        *("torch.os.system", "torch.ops.aten.from_file.default", "torch.load", "builtins.eval"),
        *("torch.ops.mine.evil.default", "torch.ops.aten.__class__", "_operator.attrgetter"),
        *("torch.ops.aten.relu.default\n", "torch.utils.cpp_extension.load", "#extension:x"),
        "torch.ops.higher_order.call_torchbind",
    ],
)
def test_operators_that_are_not_pytorchs_are_refused(target: str) -> None:
    with pytest.raises(ConversionError, match=r"none of PyTorch's own operators"):
        rewritten(program(target=target))


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('id')",
        "Symbol('s0').func.__globals__",
        "exec('x')",
        "Add(Symbol('s77', positive=True), open)",
        "s0.__class__",
        "s" * 5000,
    ],
)
def test_shapes_that_are_code_are_refused(expression: str) -> None:
    sizes = [{"as_expr": {"expr_str": expression, "hint": {"as_int": 2}}}]
    with pytest.raises(ConversionError, match="no plain sum"):
        rewritten(program(sizes=sizes))


@pytest.mark.parametrize(
    "expression",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(1))",
        "FloorDiv(s0, 2) + 1",
    ],
)
def test_true_shapes_stay(expression: str) -> None:
    rewritten(program(sizes=[{"as_expr": {"expr_str": expression}}]))


@pytest.mark.parametrize(
    "name", ["x=__import__('os')", "x\nimport os", "a.__globals__", "__class__.__init__", "x)"]
)
def test_names_that_would_be_code_are_refused(name: str) -> None:
    with pytest.raises(ConversionError, match="no plain name"):
        rewritten(program(name=name))
    with pytest.raises(ConversionError, match="no plain name"):
        rewritten(program(**{name: 1}))


def test_arguments_of_classes_are_refused() -> None:
    spec = [1, {"type": "collections.defaultdict", "context": '["os", "x"]', "children_spec": []}]
    with pytest.raises(ConversionError, match=r"'collections\.defaultdict', and not one tensor"):
        rewritten(program(in_spec=json.dumps(spec)))
    spec = [1, {"type": "builtins.tuple", "context": '{"__enum__": true}', "children_spec": []}]
    with pytest.raises(ConversionError, match="and not one tensor"):
        rewritten(program(out_spec=json.dumps(spec)))


def test_what_was_exported_on_another_device_is_loaded_on_the_processor() -> None:
    made = rewritten(program(device={"type": "cuda", "index": 0}))
    assert made["graph_module"]["graph"]["nodes"][0]["device"] == {"type": "cpu", "index": None}


def archive(path: Path, files: dict[str, bytes]) -> Path:
    plain = {
        "m/models/model.json": json.dumps(program()).encode(),
        "m/data/weights/model_weights_config.json": b'{"config": {}}',
        "m/data/constants/model_constants_config.json": b'{"config": {}}',
        "m/archive_format": b"pt2",
    }
    with zipfile.ZipFile(path, "w") as made:
        for name, data in (plain | files).items():
            made.writestr(name, data)
    return path


def test_pickles_libraries_and_strange_files_are_left_behind(tmp_path: Path) -> None:
    files = {
        "m/data/sample_inputs/model.pt": b"evil",
        "m/extra/x": b"y",
        "m/data/weights/../x": b"",
    }
    pt2.rewrite(archive(tmp_path / "m.pt2", files), tmp_path / "clean.pt2")
    with zipfile.ZipFile(tmp_path / "clean.pt2") as made:
        assert made.read("model/data/sample_inputs/model.pt") == b""
        assert not [n for n in made.namelist() if "extra" in n or ".." in n]


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"m/data/aotinductor/model/x.so": b"\x7fELF"}, "compiled library"),
        (
            {
                "m/data/constants/model_constants_config.json": json.dumps(
                    {"config": {"x": {"path_name": "opaque_obj_0", "use_pickle": True}}}
                ).encode()
            },
            "weights as pickles",
        ),
        (
            {
                "m/data/weights/model_weights_config.json": json.dumps(
                    {"config": {"x": {"path_name": "weight_0", "use_pickle": True}}}
                ).encode()
            },
            "weights as pickles",
        ),
    ],
)
def test_an_archive_that_would_run_something_is_refused(
    tmp_path: Path, files: dict[str, bytes], error: str
) -> None:
    with pytest.raises(ConversionError, match=error):
        pt2.rewrite(archive(tmp_path / "m.pt2", files), tmp_path / "clean.pt2")


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"a": ' + b"[" * 100_000])
def test_a_damaged_program_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(MalformedError):
        pt2.rewrite(
            archive(tmp_path / "m.pt2", {"m/models/model.json": data}), tmp_path / "clean.pt2"
        )


class Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


def test_the_pickle_in_a_real_program_is_not_loaded(
    formats: Path, read: Read, tmp_path: Path
) -> None:
    """torch.export.load falls back to loading any pickle."""
    if not (formats / "digits.pt2").exists():
        pytest.skip("PyTorch is not installed")
    canary, evil = tmp_path / "canary", tmp_path / "evil.pt2"
    with zipfile.ZipFile(formats / "digits.pt2") as good, zipfile.ZipFile(evil, "w") as made:
        for name in good.namelist():
            bad = name.endswith("sample_inputs/model.pt")
            made.writestr(name, pickle.dumps(Evil(canary)) if bad else good.read(name))
    read(evil, np.zeros((2, *FIRST), np.float32))
    assert not canary.exists()


def test_a_cut_archive_is_damaged(formats: Path, tmp_path: Path) -> None:
    if not (formats / "digits.pt2").exists():
        pytest.skip("PyTorch is not installed")
    cut = tmp_path / "cut.pt2"
    cut.write_bytes((formats / "digits.pt2").read_bytes()[:9000])
    with pytest.raises(LittoralError):
        pt2.rewrite(cut, tmp_path / "clean.pt2")
