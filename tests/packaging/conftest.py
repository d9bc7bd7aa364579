"""Packages, built once a run by the command that people use."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from simulators.packages import (
    WHEELS,
    Build,
    Built,
    build_deb,
    copy_sources,
    need,
    skip_without_index,
    system_python,
)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def build(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build for amd64: ``build("agent", "bookworm")``; what was built before is not built again."""
    made: dict[tuple[str, str], Built] = {}

    def built(package: str, suite: str) -> Built:
        if (package, suite) not in made:
            out = tmp_path_factory.mktemp(f"{package}-{suite}")
            words = ("--package", package, "--suite", suite, "--arch", "amd64", "--out", str(out))
            done = build_deb(*words, "--wheels", str(WHEELS), "--json", sources=sources)
            skip_without_index(done)
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            made[package, suite] = Built(**{**said, "deb": Path(said["deb"])})
        return made[package, suite]

    return built


@pytest.fixture(scope="session")
def root(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the device's package for this machine's own Python is unpacked."""
    suite = {"3.11": "bookworm", "3.13": "trixie"}.get(system_python())
    if suite is None or os.uname().machine != "x86_64":
        pytest.skip("this machine has the Python of neither Debian that there are packages for")
    need("dpkg-deb")
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "-x", build("agent", suite).deb, folder], check=True)
    return folder
