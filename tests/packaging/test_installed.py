"""The package, unpacked, with Debian's own Python and nothing of this checkout."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deb.targets import PACKAGES, Package
from littoral import __version__
from patience import patient
from simulators.packages import ROOT, need

pytestmark = pytest.mark.slow
TINY = ROOT / "tests/fixtures/tiny_int8.tflite"
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users and folders")


@pytest.fixture
def littoral(root: Path) -> Path:
    """The command, told where the package lies here."""
    command = root / "littoral"
    text = (root / "usr/lib/littoral/bin/littoral").read_text()
    command.write_text(text.replace("/usr/lib/", f"{root}/usr/lib/"))
    command.chmod(0o755)
    return command


def bare(**more: str) -> dict[str, str]:
    """Return an environment that leads to no package but the system's."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **more}


def run(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=bare(**more), cwd="/"
    )


def test_the_command_runs(littoral: Path, tmp_path: Path) -> None:
    done = run(littoral, "--version")
    assert done.stdout == f"littoral, version {__version__}\n", done.stderr
    done = run(littoral, "status", "--json", "--data", tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"] == []
    done = run(littoral, "enroll", "https://127.0.0.1:1", "--token", "lit1_", "--data", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    help_ = run(littoral, "--help").stdout
    assert all(f"\n  {name} " in help_ for name in ("enroll", "run", "agent", "serve", "status"))
    assert "not installed" not in help_


def test_doctor_finds_the_package_well(littoral: Path, tmp_path: Path) -> None:
    done = run(littoral, "doctor", "--json", "--data", tmp_path / "none")
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    for name in ("python", "packages", "pycoral", "litert", "settings"):
        assert found[name]["state"] == "ok", found[name]
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_who_calls_it_is_looked_into(littoral: Path, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('somebody else was here')")
    done = subprocess.run(
        [littoral, "--version"],
        capture_output=True,
        text=True,
        check=False,
        env=bare(PYTHONPATH=str(tmp_path), HOME=str(tmp_path)),
        cwd=tmp_path,
    )
    assert done.stdout.startswith("littoral, version"), done.stderr


def test_without_a_package_it_says_so(tmp_path: Path) -> None:
    lost = tmp_path / "littoral"
    lost.write_text((ROOT / "packaging/files/launcher").read_text().replace("/usr/lib/", "/none/"))
    done = run("sh", lost, "status")
    assert (done.returncode, done.stderr.rpartition(" ")[2]) == (2, "[missing-extra]\n")


def test_both_packages_bring_one_launcher() -> None:
    launcher = (ROOT / "packaging/files/launcher").read_text()
    for package in PACKAGES.values():
        assert f"/{package.library}" in launcher


@contextlib.contextmanager
def program(root: Path, module: str, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module of the package as its unit does."""
    library = {"PYTHONPATH": f"{root}/usr/lib/littoral", "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(
        ["/usr/bin/python3", "-m", module, *words],
        env=bare(PYTHONNOUSERSITE="1", **library, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=patient(30))
        assert process.returncode == 0, said


def test_it_serves_with_debians_numpy(root: Path) -> None:
    words = ("--json", "--http", "127.0.0.1:0", "--model", f"tiny={TINY}")
    with program(root, "littoral_serve", *words) as serve:
        assert serve.stdout is not None
        http = json.loads(serve.stdout.readline())["http"]
        document = {"instances": [[[[0.5]] * 8] * 8]}
        url = f"http://{http}/v1/models/tiny:predict"
        reply = requests.post(url, json=document, timeout=20)
        assert reply.status_code == 200, reply.text
        maps = Path(f"/proc/{serve.pid}/maps").read_text()
        assert f"{root}/usr/lib/littoral/ai_edge_litert/" in maps
        assert "/usr/lib/python3/dist-packages/numpy/" in maps
        assert str(ROOT) + "/.venv" not in maps


def test_an_agent_waits_for_its_enrolment(root: Path, tmp_path: Path) -> None:
    with program(root, "littoral_agent", "--data", str(tmp_path)) as agent:
        until = time.monotonic() + 20
        while not (tmp_path / "run/agent.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert json.loads((tmp_path / "run/agent.json").read_text())["pid"] == agent.pid


def test_everything_that_is_imported_late_is_there(root: Path) -> None:
    code = """
import importlib, pkgutil, sys
import littoral, littoral_agent, littoral_serve
for package in (littoral, littoral_agent, littoral_serve):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as e:
                # Debian's python3-grpcio is suggested, for who wants gRPC.
                if e.name != "grpc" or ".protocols.rpc." not in found.name:
                    raise
import paho.mqtt.client, tuf.api.metadata, zstandard, orjson, urllib3
from cryptography.hazmat.primitives.asymmetric import ec
ec.generate_private_key(ec.SECP256R1())
assert zstandard.backend == "cext"
"""
    library = f"{root}/usr/lib/littoral"
    done = run("/usr/bin/python3", "-c", code, PYTHONPATH=library, PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr


@ONLY_ROOT
def test_users_and_folders(root: Path, tmp_path: Path) -> None:
    """As systemd makes them from the package's files, twice, which is once."""
    (tmp_path / "etc").mkdir()
    users, folders = root / "usr/lib/sysusers.d", root / "usr/lib/tmpfiles.d"
    for _ in range(2):
        for words in (
            [need("systemd-sysusers"), f"--root={tmp_path}", *map(str, users.iterdir())],
            [
                need("systemd-tmpfiles"),
                f"--root={tmp_path}",
                "--create",
                *map(str, folders.iterdir()),
            ],
        ):
            subprocess.run(words, check=True, capture_output=True)
    fields = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    ids = {name: (int(uid), int(gid)) for name, _, uid, gid, *_ in fields}
    (agent, group), (serve, same) = ids["littoral"], ids["littoral-serve"]
    assert agent != serve
    assert group == same
    assert all(shell == "/usr/sbin/nologin" for *_, shell in fields)
    for path, uid, mode in (
        ("run/littoral", agent, 0o755),
        ("var/lib/littoral", agent, 0o750),
        ("var/cache/littoral", serve, 0o750),
    ):
        found = (tmp_path / path).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (uid, group, mode), path
    assert (tmp_path / "var/lib/littoral/run").readlink() == Path("/run/littoral")


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_its_scripts_are_of_the_shell_that_debian_has(package: Package) -> None:
    for name in ("postinst", "prerm", "postrm"):
        path = package.files / name
        assert path.read_text().startswith("#!/bin/sh\nset -e\n")
        assert run("/bin/sh", "-n", path).stderr == ""
