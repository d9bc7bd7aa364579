"""What a package holds: our rooms, the wheels of its lock, units, settings and Debian's papers."""

import gzip
import io
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from deb.archive import Entry, Tree, installed_kib
from deb.targets import ROOT, Package, Target
from deb.wheels import Wheel, licences

_EXECUTABLE: Final = 0o755
_NOT_SHIPPED: Final = {"__pycache__", "tests"}
COMPLETIONS: Final = ROOT / "packaging/files/completions"
# Where each package puts what completes words, so that both may be installed. Bash and zsh look
# for several names; fish for one alone, and reads its conf.d whole.
SHELLS: Final = {
    "agent": {
        "bash": "usr/share/bash-completion/completions/littoral",
        "zsh": "usr/share/zsh/vendor-completions/_littoral",
        "fish": "usr/share/fish/vendor_completions.d/littoral.fish",
    },
    "console": {
        "bash": "usr/share/bash-completion/completions/littoral.bash",
        "zsh": "usr/share/zsh/vendor-completions/_littoral_console",
        "fish": "usr/share/fish/vendor_conf.d/littoral-console.fish",
    },
}
_SCRIPTS: Final = ("postinst", "prerm", "postrm")
_UNITS: Final = "usr/lib/systemd/system"


def version(target: Target) -> str:
    """Return Debian's version: the same release of littoral is newer on a newer Debian."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = re.sub(r"\.?(a|b|rc|dev)(\d+)$", r"~\1\2", project["version"])
    return f"{plain}+deb{target.release}"


def files(package: Package, target: Target, wheels: list[Wheel], *, when: int) -> dict[str, Entry]:
    """Return all that the package installs."""
    out: dict[str, Entry] = {}
    for wheel in wheels:
        for path, entry in wheel.files.items():
            if out.setdefault(f"{package.library}/{path}", entry) != entry:
                raise ValueError(f"{wheel.name}: {path} is another package's too")
    for room in package.rooms:
        for path, entry in _ours(ROOT / room):
            out[f"{package.library}/{path}"] = entry
    out |= {f"{package.library}/{path}": entry for path, entry in _metadata(package).items()}
    out |= _system(package)
    out |= _papers(package, target, wheels, when=when)
    return out


def control(package: Package, target: Target, installed: Tree) -> dict[str, Entry]:
    """Return the files that dpkg reads."""
    major, minor = target.python.split(".")
    words = {
        "VERSION": version(target),
        "ARCH": target.arch,
        "SIZE": str(installed_kib(installed)),
        "PYTHON": f"python3 (>= {target.python}~), python3 (<< {major}.{int(minor) + 1})",
    }
    text = (package.files / "control").read_text()
    conffiles = sorted(f"/{path}\n" for path in installed if path.startswith("etc/"))
    out = {
        "control": Entry(re.sub(r"@(\w+)@", lambda m: words[m[1]], text).encode()),
        "conffiles": Entry("".join(conffiles).encode()),
    }
    for name in _SCRIPTS:
        out[name] = Entry((package.files / name).read_bytes(), mode=_EXECUTABLE)
    return out


def _ours(room: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(room.rglob("*")):
        inside = path.relative_to(room.parent)
        if not path.is_file() or _NOT_SHIPPED & set(inside.parts):
            continue
        if path.suffix != ".pyc" and path.name != "py.typed" and not path.name.startswith("."):
            yield str(inside), Entry(path.read_bytes())


def _metadata(package: Package) -> dict[str, Entry]:
    """Return what importlib.metadata finds of us: the commands of the rooms that are here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    here = {Path(room).name for room in package.rooms}
    commands = project["entry-points"]["littoral.commands"]
    lines = [
        f"{name} = {where}"
        for name, where in sorted(commands.items())
        if re.split(r"[.:]", where)[0] in here
    ]
    folder = f"littoral-{project['version']}.dist-info"
    said = f"Metadata-Version: 2.1\nName: littoral\nVersion: {project['version']}\n"
    return {
        f"{folder}/METADATA": Entry(said.encode()),
        f"{folder}/entry_points.txt": Entry(
            "\n".join(["[littoral.commands]", *lines, ""]).encode()
        ),
    }


def _system(package: Package) -> dict[str, Entry]:
    """Return what makes it a part of the system: the command, users, folders, units, settings."""
    name, held = package.debian, package.files
    launcher = Entry((held.parent / "launcher").read_bytes(), mode=_EXECUTABLE)
    out = {
        f"{package.library}/bin/littoral": launcher,
        f"usr/lib/sysusers.d/{name}.conf": Entry((held / "sysusers").read_bytes()),
        f"usr/lib/tmpfiles.d/{name}.conf": Entry((held / "tmpfiles").read_bytes()),
    }
    for shell, place in SHELLS[package.name].items():
        out[place] = Entry((COMPLETIONS / shell).read_bytes())
    for unit in package.units:
        out[f"{_UNITS}/{unit}"] = Entry((ROOT / "systemd" / unit).read_bytes())
    for file in sorted(held.glob("*.toml")):
        out[f"etc/littoral/{file.name}"] = Entry(file.read_bytes())
    if (held / "default").exists():
        out[f"etc/default/{name}"] = Entry((held / "default").read_bytes())
    if "littoral-serve.service" in package.units:
        for file in sorted((ROOT / "systemd/drop-ins").glob("*.conf")):
            out[f"usr/share/{name}/drop-ins/{file.name}"] = Entry(file.read_bytes())
    if "littoral-stick@.service" in package.units:
        for file in sorted((ROOT / "systemd/sticks").glob("*.rules")):
            out[f"usr/share/{name}/sticks/{file.name}"] = Entry(file.read_bytes())
    return out


def _papers(
    package: Package, target: Target, wheels: list[Wheel], *, when: int
) -> dict[str, Entry]:
    """Return what Debian asks of each package: who may copy it, and what changed."""
    name = package.debian
    folder = f"usr/share/doc/{name}"
    date = format_datetime(datetime.fromtimestamp(when, UTC))
    by = re.search(r"^Maintainer: (.*)$", (package.files / "control").read_text(), re.MULTILINE)
    changes = (
        f"{name} ({version(target)}) {target.suite}; urgency=medium\n\n"
        f"  * See CHANGELOG.md.gz.\n\n -- {by[1] if by else ''}  {date}\n"
    )
    out = {
        f"{folder}/changelog.gz": _zipped(changes.encode()),
        f"{folder}/CHANGELOG.md.gz": _zipped((ROOT / "CHANGELOG.md").read_bytes()),
        f"{folder}/copyright": Entry(_copyright(package, wheels).encode()),
    }
    if (overrides := package.files / "lintian-overrides").exists():
        out[f"usr/share/lintian/overrides/{name}"] = Entry(overrides.read_bytes())
    for page in package.pages:
        out[f"{folder}/{page}"] = Entry((ROOT / "docs" / page).read_bytes())
    return out


def _copyright(package: Package, wheels: list[Wheel]) -> str:
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: littoral\n"
        "Comment:\n"
        f" Vendored below /{package.library}, each with its licence in its dist-info folder:\n"
        + "".join(f"  {line}\n" for line in licences(wheels))
        + "\n"
        "Files: *\n"
        "Copyright: 2026 the littoral authors, and the authors of what is vendored\n"
        "License: Apache-2.0\n"
        "\n"
        "License: Apache-2.0\n"
        " On Debian systems the text of this licence is in\n"
        " /usr/share/common-licenses/Apache-2.0.\n"
    )


def _zipped(data: bytes) -> Entry:
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=9, mtime=0) as packed:
        packed.write(data)
    return Entry(out.getvalue())
