"""build-deb as people run it: what it says, what it builds, that it builds it again."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb.archive import Tree
from deb.contents import files
from deb.elf import is_elf, machine
from deb.targets import PACKAGES, Target
from deb.wheels import LockError, fetch, unpack
from simulators.packages import (
    ROOT,
    WHEELS,
    Build,
    build_deb,
    copy_sources,
    need,
    skip_without_index,
)

MB = 1_000_000
AARCH64 = 183
PACKAGE = pytest.mark.parametrize("package", ["agent", "console"])


def members(deb: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    need("dpkg-deb")
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        for member in tar:
            held = tar.extractfile(member) if member.isfile() else None
            yield member, held.read() if held else b""


def field(deb: Path, name: str) -> str:
    need("dpkg-deb")
    done = subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.slow
@PACKAGE
def test_what_a_package_holds(build: Build, package: str) -> None:
    built = build(package, "bookworm")
    assert built.installed_bytes <= 60 * MB
    paths = {}
    for member, data in members(built.deb):
        path = member.name.removeprefix(".")
        paths[path] = data
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root"), path
        assert not member.mode & 0o6022, f"{path}: {member.mode:o}"
        words = set(Path(path).parts)
        assert not words & {"tests", "test", "__pycache__", "vendors", "tools"}, path
        assert not path.endswith((".pyc", ".pyi", ".sh", "Accelerator.so")), path
        assert not path.startswith("/usr/local"), path
        if is_elf(data):
            assert b".symtab\0" not in data[-4096:], f"{path} is not stripped"
    assert not any(path.startswith("/usr/lib/littoral/numpy") for path in paths)
    assert not any(b"litconv" in path.encode() for path in paths)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert field(built.deb, "Version") == f"{version}+deb12"
    assert built.deb.name == f"littoral-{package}_{version}+deb12_amd64.deb"
    assert "python3 (>= 3.11~), python3 (<< 3.12)" in field(built.deb, "Depends")


@pytest.mark.slow
def test_the_device_gets_its_own_rooms_and_commands_alone(build: Build) -> None:
    held = {m.name: data for m, data in members(build("agent", "bookworm").deb)}
    library = "./usr/lib/littoral"
    assert f"{library}/littoral_agent/agent.py" in held
    assert f"{library}/littoral_serve/app.py" in held
    assert not any("littoral_console" in name or "littoral_converter" in name for name in held)
    commands = next(
        d for n, d in held.items() if n.endswith("littoral-0.1.0.dist-info/entry_points.txt")
    )
    said = {line.partition(" = ")[0] for line in commands.decode().splitlines()[1:]}
    assert {"enroll", "run", "status", "serve", "agent"} <= said
    assert not said & {"console", "fleet", "convert", "publish"}


@pytest.mark.slow
def test_the_same_sources_give_the_same_bytes(build: Build, sources: Path, tmp_path: Path) -> None:
    """Whoever builds it, where, in whichever time zone, with whichever mask and seed."""
    built = build("agent", "bookworm")
    elsewhere = tmp_path / "other sources"
    mask = os.umask(0o077)
    try:
        shutil.copytree(sources, elsewhere, copy_function=shutil.copyfile)
        done = build_deb(
            *("--suite", "bookworm", "--arch", "amd64", "--out", str(tmp_path / "elsewhere")),
            *("--wheels", str(WHEELS)),
            sources=elsewhere,
            TZ="Pacific/Auckland",
            LC_ALL="C",
            PYTHONHASHSEED="7",
        )
    finally:
        os.umask(mask)
    assert done.returncode == 0, done.stderr
    again = (tmp_path / "elsewhere" / built.deb.name).read_bytes()
    assert hashlib.sha256(again).hexdigest() == built.sha256
    assert again == built.deb.read_bytes()


@pytest.mark.slow
def test_a_board_of_another_architecture_gets_its_own_libraries() -> None:
    package, target = PACKAGES["agent"], Target("trixie", "arm64")
    installed = tree(package.name, target)
    libraries = {path: e.data for path, e in installed.items() if is_elf(e.data)}
    assert len(libraries) > 10
    assert {machine(data) for data in libraries.values()} == {AARCH64}
    assert all("cpython-313" in path for path in libraries if "cpython" in path)
    assert sum(len(entry.data) for entry in installed.values()) <= 60 * MB


def tree(name: str, target: Target) -> Tree:
    package = PACKAGES[name]
    try:
        wheels = fetch(
            package.lock(target), target, WHEELS / f"{name}-{target.suite}-{target.arch}"
        )
    except LockError as e:
        skip_without_index(subprocess.CompletedProcess([], 1, "", str(e)))
        raise
    return files(package, target, [unpack(path) for path in wheels], when=0)


@pytest.mark.slow
@PACKAGE
def test_lintian_has_nothing_to_say_but_what_is_overruled(build: Build, package: str) -> None:
    need("lintian")
    done = subprocess.run(
        ["lintian", "--no-cfg", "--show-overrides", build(package, "bookworm").deb],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    listed = PACKAGES[package].files / "lintian-overrides"
    lines = listed.read_text().splitlines() if listed.exists() else []
    allowed = {line for line in lines if line and not line.startswith("#")}
    said = {
        line.partition(": ")[2]
        for line in done.stdout.splitlines()
        if line[:2] in ("E:", "W:", "O:")
    }
    assert said == allowed, done.stdout


def test_a_misuse_says_what_there_is() -> None:
    done = build_deb("--arch", "armhf", "--suite", "bookworm")
    assert done.returncode == 2
    assert "amd64" in done.stderr
    assert "Example: packaging/build-deb --arch arm64" in build_deb("--help").stdout


def test_without_git_the_time_must_be_said(tmp_path: Path) -> None:
    told = {"SOURCE_DATE_EPOCH": "", "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    copied = copy_sources(tmp_path / "sources")
    done = build_deb("--arch", "amd64", "--suite", "bookworm", sources=copied, **told)
    assert (done.returncode, "set SOURCE_DATE_EPOCH" in done.stderr) == (1, True)
