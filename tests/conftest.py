"""What tests of every room share: lanes, how hypothesis searches, a disk that is soon full."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import failed
import lanes

settings.register_profile("suite", deadline=None, max_examples=60, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Tests import ONNX Runtime themselves, too, and it would tell its maker so.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A shell has what it runs in the background ignore a Ctrl-C, and so what tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> lanes.Lanes | None:
    return lanes.Lanes(config, log) if config.getvalue("dist") == "load" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return lanes.workers()


def pytest_configure(config: pytest.Config) -> None:
    """Give a worker a folder of a short name: the path of a socket has at most 107 bytes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        given = Path(config.option.basetemp)
        config.option.basetemp = given.parent / given.name.removeprefix("popen-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        lanes.sort(items)


def pytest_collection_finish() -> None:
    """Refuse tests that import TensorFlow: it brings an OpenSSL of its own.

    With that in the process, a PKCS #11 module that looks for its symbols ends it.
    """
    if "tensorflow" in sys.modules:
        raise pytest.UsageError("a test imports TensorFlow: that is for processes of its own")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if "FAILED" in os.environ:
        told = failed.lines(terminalreporter.stats, exitstatus)
        Path(os.environ["FAILED"]).write_text("".join(f"{line}\n" for line in told))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, which only root may mount."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0755", "littoral-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip(f"cannot mount a tmpfs here: {e}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
