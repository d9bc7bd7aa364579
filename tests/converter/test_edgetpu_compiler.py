"""The compiler is believed only where its code, its words and its file agree."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.errors import ConversionError
from littoral_converter import worker
from littoral_converter.edgetpu import compiler
from littoral_converter.edgetpu.compiler import Job, Made
from littoral_converter.recipe import Limits
from littoral_converter.worker import Progress
from patience import patient
from simulators import edgetpu_compiler as simulated

TINY = Path(__file__).parents[1] / "fixtures/tiny_int8.tflite"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to compile in; what lies in bin/ of it is on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "made").mkdir()
    yield tmp_path
    left = [path.name for path in (tmp_path / "made").iterdir() if "attempt" in path.name]
    assert not left, "what an attempt leaves is deleted, however it ended"


def made(place: Path, *plays: str, **more: object) -> Made:
    simulated.install(place / "bin", *plays)
    job = Job(models=(TINY,), folder=place / "made", timeout_s=20.0)
    for name, value in more.items():
        object.__setattr__(job, name, value)
    return compiler.compile_(job, say=lambda _: None)


def files(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "made").iterdir())


def test_a_success_is_one_call_and_one_file(place: Path) -> None:
    done = made(place, "success")
    assert (done.version, done.attempts, done.searched) == ("16.0.384591198", 1, False)
    (output,) = done.outputs
    assert output.mapped == 14
    assert files(place) == [output.file] == ["tiny_int8_edgetpu.tflite"]
    (call,) = simulated.calls(place / "bin")
    assert "--show_operations" in call
    assert "--search_delegate" not in call


def test_a_partial_success_brings_the_compilers_words(place: Path) -> None:
    (output,) = made(place, "partial").outputs
    assert output.mapped == 13
    assert ("SOFTMAX", "Operation not supported") in {
        (status.operator, status.words) for status in output.statuses
    }


@pytest.mark.parametrize("play", ["internal", "crash", "silent", "stub-and-0"])
def test_what_fails_and_then_does_not_is_asked_again(place: Path, play: str) -> None:
    done = made(place, play, "success")
    assert (done.attempts, done.searched) == (2, False)
    assert files(place) == ["tiny_int8_edgetpu.tflite"]


def test_one_that_fails_twice_and_then_does_not_has_compiled(place: Path) -> None:
    assert made(place, "internal", "internal", "success").attempts == 3


@pytest.mark.parametrize(
    ("play", "words"),
    [
        ("not-quantized", "not quantized to 8-bit integers (Model not quantized)"),
        ("dynamic", "known only at run time"),
        ("newer", "later version than the compiler knows"),
        ("time-out", "raise edgetpu.timeout_s"),
    ],
)
def test_what_would_fail_again_is_asked_once(place: Path, play: str, words: str) -> None:
    with pytest.raises(ConversionError, match="makes nothing of it") as refused:
        made(place, play)
    assert words in str(refused.value)
    assert len(simulated.calls(place / "bin")) == 1
    assert files(place) == []


@pytest.mark.parametrize(
    ("play", "calls", "words"),
    [
        ("internal", 4, "fails of itself, each time"),
        ("crash", 4, "crashes, each time"),
        ("silent", 4, "did not say why"),
        ("stub-and-0", 4, "nothing for an Edge TPU"),
        ("large", 2, "does not fit on the chip"),
        ("stub", 2, "refuses the model (Compilation failed: no valid delegate)"),
    ],
)
def test_what_goes_on_failing_is_said_and_no_stub_is_left(
    place: Path, play: str, calls: int, words: str
) -> None:
    with pytest.raises(ConversionError) as refused:
        made(place, play)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(simulated.calls(place / "bin")) == calls
    assert files(place) == []


def test_where_the_whole_does_not_fit_a_part_is_searched_for(place: Path) -> None:
    done = made(place, "large", "searched")
    assert (done.attempts, done.searched) == (2, True)
    assert "--search_delegate" in simulated.calls(place / "bin")[1]
    assert done.outputs[0].mapped == 13


def test_nothing_is_searched_for_against_ones_will(place: Path) -> None:
    with pytest.raises(ConversionError, match="does not fit"):
        made(place, "large", "searched", search="never")
    assert len(simulated.calls(place / "bin")) == 1


def test_always_searching_begins_with_it(place: Path) -> None:
    assert made(place, "searched", search="always").attempts == 1
    assert "--search_delegate" in simulated.calls(place / "bin")[0]


def test_what_is_wanted_reaches_the_compiler(place: Path) -> None:
    made(place, "success", min_runtime=12)
    (call,) = simulated.calls(place / "bin")
    assert call[call.index("--min_runtime_version") + 1] == "12"
    assert call[call.index("--timeout_sec") + 1] == "20"


def test_segments_are_as_many_files(place: Path) -> None:
    done = made(place, "success", segments=3)
    assert [output.file for output in done.outputs] == [
        f"tiny_int8_segment_{k}_of_3_edgetpu.tflite" for k in range(3)
    ]
    assert files(place) == [output.file for output in done.outputs]


def test_of_segments_that_are_not_all_there_none_is_left(place: Path) -> None:
    with pytest.raises(ConversionError, match="does not fit"):
        made(place, "one-segment", segments=2)
    assert files(place) == []


def test_several_models_are_compiled_in_one_call(place: Path) -> None:
    other = place / "other.tflite"
    other.write_bytes(TINY.read_bytes())
    done = made(place, "success", models=(TINY, other))
    assert [output.model for output in done.outputs] == ["tiny_int8.tflite", "other.tflite"]
    assert len(simulated.calls(place / "bin")) == 1


def test_one_that_hangs_is_stopped_with_all_that_it_started(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the worker, whose child it is: nothing of it goes on afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    simulated.install(place / "bin", "hang")
    job = Job(models=(TINY,), folder=place / "made", timeout_s=0.2)
    said: list[Progress] = []
    began = time.monotonic()
    with pytest.raises(ConversionError, match="not done in time"):
        worker.run("edgetpu", job, Made, folder=place, limits=Limits(), say=said.append)
    assert time.monotonic() - began < patient(60)
    assert said[0].stage == "compiling for the Edge TPU"
    until = time.monotonic() + patient(5)  # it was told to end, which takes a busy machine a moment
    while (running := _running(place / "bin")) and time.monotonic() < until:
        time.sleep(0.02)
    assert not running


def _running(folder: Path) -> list[bytes]:
    """Return the command lines of processes that name ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [words for words in found if bytes(folder) in words]


def test_without_the_compiler_that_is_said(place: Path) -> None:
    assert compiler.find() is None
    with pytest.raises(ConversionError, match="not on the path"):
        compiler.compile_(Job(models=(TINY,), folder=place), say=lambda _: None)
