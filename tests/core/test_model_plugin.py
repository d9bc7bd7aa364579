"""Delegates out of libraries, also where nothing may be both written and run."""

import subprocess
import sys
from pathlib import Path

import pytest

from littoral.model.plugin import Delegate
from patience import patient
from simulators import edgetpu

# As MemoryDenyWriteExecute of a unit and littoral_serve.confining have it.
HARDENED = """
import ctypes, resource, sys
from littoral.model.plugin import Delegate
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    sys.exit(77)
Delegate(sys.argv[1])
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library")) / edgetpu.LIBRARY


def test_one_is_made_where_no_code_may_be_written(library: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", HARDENED, library],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel is older than PR_SET_MDWE (6.3)")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_opened_as_its_options_say_and_given_back(library: Path) -> None:
    """The library lets one process have a TPU; two delegates of one share it."""
    edgetpu.Sticks(library.parent).plug("usb 2-1", "usb 2-2")
    held = Delegate(str(library), {"device": "usb:1"})
    assert _opened(library, "usb:0") == "opened"
    assert _opened(library, "usb:1") == f"{library} makes no delegate"
    del held
    assert _opened(library, "usb:1") == "opened"


def _opened(library: Path, device: str) -> str:
    """Return what becomes of it in another process."""
    code = (
        "import sys; from littoral.model.plugin import Delegate\n"
        "try: Delegate(sys.argv[1], {'device': sys.argv[2]}); print('opened')\n"
        "except ValueError as e: print(e)"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", code, library, device],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=True,
    ).stdout.strip()


def test_a_library_of_another_kind_and_none_at_all_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="tflite_plugin_create_delegate"):
        Delegate("libc.so.6")
    with pytest.raises(OSError, match="cannot open shared object file"):
        Delegate(str(tmp_path / "libnone.so"))
