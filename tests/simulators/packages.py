"""build-deb as people run it, and what of this machine the tests of packages need."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEELS = ROOT / "build/wheels"
EPOCH = "1750000000"


@dataclass(frozen=True)
class Built:
    """A package, and what ``build-deb --json`` said of it."""

    deb: Path
    bytes: int
    installed_bytes: int
    sha256: str


Build = Callable[..., Built]


def copy_sources(folder: Path) -> Path:
    """Copy what packages are built from: a checkout may change while tests run."""
    unwanted = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("core", "agent", "console", "docs", "packaging", "systemd"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def build_deb(
    *words: str, sources: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, sources / "packaging/build-deb", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH} | environment,
    )


def system_python() -> str:
    """Return the version of /usr/bin/python3, nothing where it cannot do what a device's does."""
    code = "import sys, numpy, PIL; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-c", code], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()


def need(command: str) -> str:
    """Return where ``command`` is; skip the test where it is not installed."""
    found = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{command} is not installed")
    return found


def skip_without_index(done: subprocess.CompletedProcess[str]) -> None:
    """Skip where wheels are missing and no package at all can be downloaded."""
    if done.returncode == 0 or "pip download" not in done.stderr:
        return
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "click"]
        probe = subprocess.run([sys.executable, *words], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no package index can be reached: {done.stderr.strip()}")
