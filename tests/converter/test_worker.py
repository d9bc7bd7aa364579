import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from littoral.errors import BackendError, ConversionError, DeadlineError
from littoral.model.backends import open_session
from littoral.model.selftest import Figures
from littoral_converter import litert, worker
from littoral_converter.recipe import Limits
from littoral_converter.worker import Progress
from patience import patient

TINY = Path(__file__).parents[1] / "fixtures" / "tiny_int8.tflite"
LAST = Progress(stage="calibrating")


def prove(folder: Path, model: Path, limits: Limits | None = None) -> Figures:
    (folder / "inputs").write_bytes(b"")
    job = litert.Prove(model=model, inputs=folder / "inputs", outputs=folder / "inputs", count=1)
    found, _ = worker.run(
        "prove", job, Figures, folder=folder, limits=limits or Limits(), say=lambda _: None
    )
    return found


def test_what_the_step_says_itself_comes_through(tmp_path: Path) -> None:
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100))
    with pytest.raises(BackendError, match="LiteRT refuses this model"):
        prove(tmp_path, junk)


def test_what_it_did_not_foresee_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="KeyError: 'dance'") as caught:
        worker.run("dance", LAST, Progress, folder=tmp_path, limits=Limits(), say=lambda _: None)
    assert any("Traceback" in note for note in caught.value.__notes__)


def test_a_step_that_is_late_is_stopped_and_leaves_no_process(tmp_path: Path) -> None:
    """It would take half a minute."""
    (spec,) = open_session("litert", TINY.read_bytes()).inputs
    samples = np.lib.format.open_memmap(
        tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(3_000_000, *spec.shape[1:])
    )
    samples.flush()
    job = litert.Run(
        model=TINY, samples=tmp_path / "x.npy", answers=tmp_path / "y", stage="running"
    )
    start = time.monotonic()
    with pytest.raises(DeadlineError, match=r"running: not done within 2 s"):
        worker.run(
            "run", job, litert.Ran, folder=tmp_path, limits=Limits(deadline_s=2), say=lambda _: None
        )
    assert time.monotonic() - start < patient(6)
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert found.returncode == 1


def test_nothing_in_its_folder_is_taken_for_a_module(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('planted')\n")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(BackendError):
        prove(tmp_path, tmp_path / "junk")


def test_a_step_that_needs_more_memory_than_it_may_have_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"limit: 100 MiB.*address_space_bytes"):
        prove(tmp_path, TINY, Limits(address_space_bytes=100 * 2**20))


@pytest.mark.parametrize(
    ("returncode", "log", "words"),
    [
        (-signal.SIGSEGV, "", "calibrating: the native library crashed (segmentation fault)"),
        (128 + signal.SIGSEGV, "", "segmentation fault"),
        (-signal.SIGABRT, "kernel_util.cc:349 x was not true.\n @ 0x1 f", "aborted"),
        (134, "kernel_util.cc:349 x was not true.\n @ 0x1 f", "kernel_util.cc:349 x was not true"),
        (-signal.SIGKILL, "", "more memory was needed than there is"),
        (137, "", "more memory was needed than there is"),
        (134, "terminate called: std::bad_alloc", "more memory was needed"),
        (-signal.SIGILL, "", "another processor"),
        (1, "OSError: x; No space left on device", "no space left for temporary files"),
        (1, "Traceback\nKeyError: 'x'\nbye", "calibrating: failed: KeyError: 'x'"),
        (3, "", "failed with 3"),
    ],
)
def test_an_end_without_a_result_is_put_in_words(returncode: int, log: str, words: str) -> None:
    assert words in str(worker.ended(returncode, last=LAST, log=log, limits=Limits()))


def test_results_do_not_depend_on_the_callers_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    found = worker.environment(tmp_path)
    assert found["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert found["KERAS_BACKEND"] == "tensorflow"
    assert found["CUDA_VISIBLE_DEVICES"] == "-1"
    assert found["ORT_DISABLE_TELEMETRY"] == "1"
    assert "TF_USE_LEGACY_KERAS" not in found
    assert found["TMPDIR"] == str(tmp_path)
    assert found["PATH"] == os.environ["PATH"]


def test_the_parent_imports_neither_tensorflow_nor_a_runtime() -> None:
    code = (
        "import sys, littoral_converter.convert, littoral_converter.commands as c\n"
        "print(sorted({'tensorflow', 'keras', 'ai_edge_litert', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_not_even_numpy() -> None:
    code = (
        "import sys; from littoral.door import main; main(['convert', '--help'])\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
