"""The packages that are installed, built by the command that people use, and a newer one."""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from boot.trees import STORE, CannotError, Kind
from simulators.packages import EPOCH, WHEELS, copy_sources

_VERSION: Final = re.compile(r'^version = "(\d+)\.(\d+)\.(\d+)"$', re.MULTILINE)


NAMES: Final = ("agent", "console", "newer")  # newer: of the agent


def build(kind: Kind, names: Sequence[str] = NAMES) -> dict[str, str]:
    """Return packages by name.

    The same sources give the same bytes, so what was built of them before is taken again.

    Raises:
        CannotError: One cannot be built.

    """
    with tempfile.TemporaryDirectory() as folder:
        sources = copy_sources(Path(folder) / "sources")
        out = STORE / "packages" / _digest(sources) / kind.name
        found = {name: _build(sources, name, kind, out) for name in names if name != "newer"}
        if "newer" in names:
            project = sources / "pyproject.toml"
            project.write_text(_VERSION.sub(r'version = "\1.\2.99"', project.read_text()))
            found["newer"] = _build(sources, "agent", kind, out / "newer")
        return found


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(one for one in sources.rglob("*") if one.is_file()):
        digest.update(f"{path.relative_to(sources)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _build(sources: Path, package: str, kind: Kind, out: Path) -> str:
    if made := sorted(out.glob(f"littoral-{package}_*.deb")):
        return str(made[0])
    words: list[str | Path] = [
        sys.executable,
        sources / "packaging/build-deb",
        "--package",
        package,
        "--json",
    ]
    words += ["--arch", kind.arch, "--suite", kind.suite, "--out", out, "--wheels", WHEELS]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SOURCE_DATE_EPOCH": EPOCH},
    )
    if done.returncode != 0:
        said = done.stderr.strip()[-300:]
        raise CannotError(f"littoral-{package} cannot be built: {said}")
    return str(json.loads(done.stdout)["deb"])
