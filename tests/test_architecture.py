"""The arrows between the rooms, and what no room may do. docs/tour.md draws them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import patient

ROOT = Path(__file__).parents[1]
ROOMS = {
    "core/littoral": set[str](),
    "agent/littoral_agent": {"littoral"},
    "agent/littoral_serve": {"littoral"},
    "converter/littoral_converter": {"littoral"},
    "console/littoral_console": {"littoral"},
    "demo": set[str](),
}
OURS = {Path(room).name for room in ROOMS}
HEAVY = {"numpy", "ai_edge_litert", "tflite_runtime", "tensorflow", "onnxruntime", "PIL"}

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
LONGER_FOR_A_REASON = {  # path, or path:function
    "console/littoral_console/migrations/versions/first.py": "one list of all tables",
    "console/littoral_console/migrations/versions/first.py:upgrade": "one list of all tables",
    "core/littoral/errors.py": "one tree of all errors, to be seen at a glance",
}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Walk the full names of what ``path`` imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides its arrow"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Walk each function's name, and its lines without the docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first, docstring = node.body[0], ast.get_docstring(node)
            told = (first.end_lineno or 0) - first.lineno + 1 if docstring else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - told


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_core_and_nothing_else_of_ours(room: str) -> None:
    allowed = ROOMS[room] | {Path(room).name}
    for path in python_files(room):
        found = {name.partition(".")[0] for name in imports(path)} & OURS
        assert found <= allowed, path


def test_the_agent_knows_no_model_and_no_client() -> None:
    for path in python_files("agent/littoral_agent"):
        for name in imports(path):
            assert not f"{name}.".startswith(("littoral.model.", "littoral.client.")), path


def test_cores_lower_floors_know_nothing_of_the_models() -> None:
    for path in python_files("core/littoral"):
        if path.relative_to(ROOT / "core/littoral").parts[0] not in (
            "model",
            "client.py",
            "commands",
        ):
            for name in imports(path):
                assert not f"{name}.".startswith(("littoral.model.", "littoral.client.")), path


SERVES_FLOORS = {  # what each may know of the others; the modules beside them know all
    "http": set[str](),
    "running": set[str](),
    "protocols": {"http", "running"},
    "tpu": {"running"},
    "trials": {"running", "tpu"},
    "bench": {"running"},
}
# What runs a model, or makes one ready to be run; the types of its arrays are known to all.
RUNS_MODELS = ("littoral.model.backends.open_", "littoral.model.compiled", "littoral.model.opening")


@pytest.mark.parametrize("floor", SERVES_FLOORS)
def test_serves_floors_know_no_floor_above_them(floor: str) -> None:
    serve = ROOT / "agent/littoral_serve"
    assert {path.parent.name for path in serve.glob("*/__init__.py")} == SERVES_FLOORS.keys()
    for path in python_files(f"agent/littoral_serve/{floor}"):
        parts = [name.split(".") for name in imports(path) if name.startswith("littoral_serve.")]
        found = {part[1] for part in parts} & SERVES_FLOORS.keys()
        assert found <= SERVES_FLOORS[floor] | {floor}, path


def test_serves_http_knows_no_model_and_its_protocols_run_none() -> None:
    for path in python_files("agent/littoral_serve/http"):
        assert not [name for name in imports(path) if name.startswith("littoral.model")], path
    for path in python_files("agent/littoral_serve/protocols"):
        assert not [name for name in imports(path) if name.startswith(RUNS_MODELS)], path


IMPORT_ALL = """
import importlib, pkgutil, sys
import littoral_agent
for module in pkgutil.walk_packages(littoral_agent.__path__, "littoral_agent."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_what_the_agent_imports_loads_neither_numpy_nor_a_runtime() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        check=True,
        timeout=patient(60),
    )
    loaded = set(done.stdout.split())
    assert "littoral_agent" in loaded
    assert not loaded & HEAVY


def test_nothing_beside_the_rooms_is_a_package() -> None:
    packages = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/__init__.py")}
    packages |= {
        path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/*/__init__.py")
    }
    ours = {room for room in ROOMS if room != "demo"}
    assert {p for p in packages if not p.startswith("tests/")} <= ours
    assert not list((ROOT / "packaging").rglob("__init__.py"))
    assert not list((ROOT / "systemd").rglob("__init__.py"))


EVERYTHING = [*ROOMS, "tests", "benchmarks", "docs"]


def test_no_file_imports_the_indexs_pycoral() -> None:
    for path in python_files(*EVERYTHING):
        assert not {name.partition(".")[0] for name in imports(path)} & {"pycoral"}, path


def test_nothing_is_unpickled() -> None:
    pickles = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for path in python_files(
        *ROOMS, "benchmarks", "docs"
    ):  # a test may write one, to see it refused
        assert not {name.partition(".")[0] for name in imports(path)} & pickles, path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


def test_an_error_of_a_room_brings_no_code_of_its_own() -> None:
    for path in python_files(*(room for room in ROOMS if room != "core/littoral")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                told = [ast.unparse(line) for line in node.body if isinstance(line, ast.Assign)]
                assert not [line for line in told if line.startswith("code ")], path


def test_no_program_is_started_through_a_shell() -> None:
    for path in python_files(*EVERYTHING):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert ast.unparse(node.value) == "False", path
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
                pytest.fail(f"{path}:{node.lineno} starts a shell")


def test_files_and_functions_are_short_enough_to_read() -> None:
    long = {}
    for path in python_files(*ROOMS):
        name = path.relative_to(ROOT).as_posix()
        lines = len(path.read_text().splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            long[name] = lines
        for function, size in functions(path):
            if size > MOST_LINES_OF_A_FUNCTION:
                long[f"{name}:{function}"] = size
    assert {where: n for where, n in long.items() if where not in LONGER_FOR_A_REASON} == {}
    assert LONGER_FOR_A_REASON.keys() <= long.keys(), "an exception that nobody needs any more"
