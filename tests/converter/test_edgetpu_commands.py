"""``littoral compile``, as people call it."""

import os
import shutil
from pathlib import Path

import pytest

from converter.conftest import Littoral
from littoral_converter import inspection
from simulators import edgetpu_compiler as simulated

TINY = Path(__file__).parents[1] / "fixtures/tiny_int8.tflite"
pytestmark = pytest.mark.usefixtures("_path")


@pytest.fixture
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_what_is_made_lies_in_the_folder_and_is_told(littoral: Littoral, tmp_path: Path) -> None:
    simulated.install(tmp_path / "bin", "internal", "success")
    other = shutil.copy(TINY, tmp_path / "other.tflite")
    said = littoral("compile", TINY, other, "-o", tmp_path / "out", "--json").json
    assert (said["compiler"], said["attempts"]) == ("16.0.384591198", 2)
    for name, model in zip(("tiny_int8", "other"), said["models"], strict=True):
        path = tmp_path / f"out/{name}_edgetpu.tflite"
        assert model["path"] == str(path)
        assert model["edgetpu"]["mapped"] == 14
        assert inspection.file(path, twin=TINY).edgetpu.mapped == 14
    shown = littoral("compile", TINY, "-o", tmp_path / "out").out
    assert "14 operators mapped, 0 on the processor" in shown


def test_a_failure_is_one_line_and_leaves_nothing(littoral: Littoral, tmp_path: Path) -> None:
    simulated.install(tmp_path / "bin", "not-quantized")
    done = littoral("compile", TINY, "-o", tmp_path / "out")
    assert done.code == 1
    assert "Model not quantized" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_a_compiler_it_is_said_where_to_get_one(littoral: Littoral, tmp_path: Path) -> None:
    done = littoral("compile", TINY, "-o", tmp_path / "out")
    assert done.code == 1
    assert "edgetpu_compiler is not on the path: install" in done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("{tiny}", "{tiny}"), "one name"),
        (("{tiny}", "{other}", "--segments", "2"), "cuts one model"),
        (("{compiled}",), "is compiled already"),
        (("{none}",), "there is no such file"),
        (("{tiny}", "--min-runtime", "9"), "9 is not in the range"),
    ],
)
def test_a_misuse_is_told_before_anything_is_done(
    littoral: Littoral, tmp_path: Path, args: tuple[str, ...], words: str
) -> None:
    simulated.install(tmp_path / "bin", "success")
    compiled = tmp_path / "compiled"
    littoral("compile", TINY, "-o", compiled)
    places = {
        "tiny": TINY,
        "other": shutil.copy(TINY, tmp_path / "other.tflite"),
        "compiled": compiled / "tiny_int8_edgetpu.tflite",
        "none": tmp_path / "none.tflite",
    }
    done = littoral("compile", *(a.format(**places) for a in args), "-o", tmp_path / "out")
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "out").exists()
