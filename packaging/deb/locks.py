"""Writes packaging/locks/ anew: for each package and target, every wheel by version and digest.

    .venv/bin/python packaging/make-locks [--package agent|console] [--suite …] [--arch …]

pip resolves what pyproject.toml asks of the package's extras, for the target's Python and
architecture and without installing anything. Left out is what Debian has and what nothing
imports; the build then installs exactly what stands in the lock.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from deb.targets import ARCHES, LEFT_OUT, PACKAGES, ROOT, SUITES, Package, Target


def wanted(package: Package) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][name] for name in package.extras)
    return [*project["dependencies"], *(one for extra in extras for one in extra)]


def resolve(requirements: list[str], target: Target) -> dict[str, tuple[str, str]]:
    """Return version and sha256 by name."""
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        words += ["--report", str(report), "--target", folder, *target.pip_options()]
        subprocess.run([*words, *requirements], check=True)
        found = json.loads(report.read_text())["install"]
    return {
        re.sub(r"[-_.]+", "-", one["metadata"]["name"].lower()): (
            one["metadata"]["version"],
            one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for one in found
    }


def lock(package: Package, target: Target) -> str:
    found = resolve(wanted(package), target)
    left_out = (f"{name} ({why})" for name, why in LEFT_OUT.items() if name in found)
    lines = [
        f"# {package.debian}, {target.suite}, {target.arch}: written by packaging/make-locks.",
        f"# Left out: {', '.join(left_out)}.",
    ]
    lines += [
        f"{name}=={version} --hash=sha256:{sha256}"
        for name, (version, sha256) in sorted(found.items())
        if name not in LEFT_OUT
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--package", choices=sorted(PACKAGES), action="append")
    parser.add_argument("--suite", choices=SUITES, action="append")
    parser.add_argument("--arch", choices=ARCHES, action="append")
    asked = parser.parse_args()
    for name in asked.package or sorted(PACKAGES):
        for suite in asked.suite or SUITES:
            for arch in asked.arch or ARCHES:
                package, target = PACKAGES[name], Target(suite, arch)
                package.lock(target).write_text(lock(package, target))
                print(package.lock(target).relative_to(ROOT))


if __name__ == "__main__":
    main()
