"""Builds a Debian package of littoral, for any architecture, on any machine, without root.

    packaging/build-deb --arch arm64 --suite bookworm                 littoral-agent
    packaging/build-deb --arch amd64 --suite trixie --package console

Wheels come by pip, by the versions and digests of packaging/locks/ (kept in build/wheels, so
that the next build needs no network); everything else is in this repository. The same commit
gives the same bytes: times are $SOURCE_DATE_EPOCH, else the commit's.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deb import archive, contents, wheels
from deb.targets import ARCHES, PACKAGES, ROOT, SUITES, Target


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: packaging/build-deb --arch arm64 --suite bookworm -o dist",
    )
    parser.add_argument("--arch", choices=ARCHES, required=True)
    parser.add_argument("--suite", choices=SUITES, required=True)
    parser.add_argument("--package", choices=sorted(PACKAGES), default="agent")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "dist", metavar="DIR")
    parser.add_argument("--wheels", type=Path, default=ROOT / "build/wheels", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="say what was built as one JSON object")
    asked = parser.parse_args()
    package, target = PACKAGES[asked.package], Target(asked.suite, asked.arch)
    try:
        when = moment()
        folder = asked.wheels / f"{package.name}-{target.suite}-{target.arch}"
        vendored = [
            wheels.unpack(path) for path in wheels.fetch(package.lock(target), target, folder)
        ]
    except wheels.LockError as e:
        print(f"error: {e} [lock]", file=sys.stderr)
        return 1
    files = contents.files(package, target, vendored, when=when)
    data = archive.package(contents.control(package, target, files), files, when=when)
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"{package.debian}_{contents.version(target)}_{target.arch}.deb"
    path.write_bytes(data)
    say(path, data, files, as_json=asked.json)
    return 0


def moment() -> int:
    """Return the time that all files bear."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(said)
    done = subprocess.run(
        [shutil.which("git") or "git", "-C", ROOT, "log", "-1", "--format=%ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise wheels.LockError(
            "this is no git checkout; set SOURCE_DATE_EPOCH to the release's time"
        )
    return int(done.stdout)


def say(path: Path, data: bytes, files: archive.Tree, *, as_json: bool) -> None:
    installed = sum(len(entry.data) for entry in files.values())
    digest = hashlib.sha256(data).hexdigest()
    if as_json:
        said = {
            "deb": str(path),
            "bytes": len(data),
            "installed_bytes": installed,
            "sha256": digest,
        }
        print(json.dumps(said))
        return
    print(f"{path}: {len(data) / 1e6:.1f} MB, installed {installed / 1e6:.1f} MB, sha256 {digest}")


if __name__ == "__main__":
    sys.exit(main())
