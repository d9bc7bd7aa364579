"""A compiled file alone, with no bundle around it: what is served of it, and what is said."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests

pytest.importorskip("ai_edge_litert")
pytest.importorskip("flatbuffers")
pytest.importorskip("httptools")

from littoral.errors import BackendMissingError, CrashError, NotDelegatedError
from littoral.model.backends import open_session
from littoral_serve.running import named
from littoral_serve.running.live import Resources
from littoral_serve.settings import Settings
from littoral_serve.tpu import Tpus, looking
from littoral_serve.tpu.orders import Limits
from patience import patient
from simulators import edgetpu
from simulators.edgetpu import Sticks
from simulators.edgetpu_compiled import compiled
from simulators.served import model, serving

TINY = model("tiny_int8")
COMPILED = compiled(TINY)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "digits_edgetpu.tflite"
    path.write_bytes(COMPILED)
    return path


def test_two_files_are_served_on_one_tpu(library: Path, file: Path) -> None:
    Sticks(library).plug("usb 2-1")
    options = (f"--model=left={file}", f"--model=right={file}")
    with serving(*options, environment={"LD_LIBRARY_PATH": str(library)}) as serve:
        zeros = np.zeros((1, 8, 8, 1), np.int8)
        made = np.frombuffer(edgetpu.answer(zeros.tobytes(), 10), np.int8)
        for name in ("left", "right"):
            body = {"signature_name": "raw", "instances": zeros.tolist()}
            url = f"{serve.url}/v1/models/{name}:predict"
            reply = requests.post(url, json=body, timeout=patient(30))
            assert reply.json() == {"predictions": [made.tolist()]}


def test_without_a_tpu_serve_says_what_to_do(file: Path) -> None:
    words = [sys.executable, "-m", "littoral_serve", "--http=127.0.0.1:0", f"--model=digits={file}"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=patient(60), check=False, env={}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {file}: it was compiled for an Edge TPU, and no Edge")
    assert "Without one, take the file that it was compiled from [backend-missing]" in done.stderr


def test_it_tells_the_tensors_as_the_runtime_does(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    sticks = Sticks(library)
    sticks.plug("usb 2-1")
    session = open_session("litert", TINY)
    for devices in ((), ("usb:0",), ("pci:0", "usb:0")):
        found = looking.look(COMPILED, devices, limits=Limits())
        assert (found.inputs, found.outputs) == (session.inputs, session.outputs)
    with pytest.raises(NotDelegatedError, match="none of its"):
        looking.look(TINY, (), limits=Limits())
    sticks.plug()
    with pytest.raises(BackendMissingError, match=r"Without one, take the file"):
        looking.look(COMPILED, (), limits=Limits())


def test_a_library_that_ends_its_process_does_not_end_this_one(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(edgetpu.build(tmp_path, "CRASHES", "OLD_ABI")))
    resources = Resources(elsewhere=Tpus(Settings()))
    with pytest.raises(CrashError, match=f"{file}: it ended the process that loaded it"):
        named.load("digits", file, resources=resources)
