"""Python, and the packages that this device's programs need."""

import platform
import re
import struct
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import littoral
from littoral import machine
from littoral.board.files import found, text
from littoral_agent.doctor.finding import Finding, Place, fail, ok, warn

VENDORED: Final = Path("/usr/lib/littoral")  # where Debian's package keeps them
_GLIBC: Final = (2, 28)  # of LiteRT's wheels
# What core, agent and serve need: at least the first, and below the second.
NEEDED: Final = {
    "ai-edge-litert": ((2, 1), (3,)),
    "click": ((8, 1), (9,)),
    "cryptography": ((43,), (1000,)),
    "httptools": ((0, 6), (1,)),
    "numpy": ((1, 24), (3,)),
    "orjson": ((3, 9), (4,)),
    "paho-mqtt": ((2, 1), (3,)),
    "pillow": ((9, 4), (1000,)),
    "tuf": ((7, 0, 1), (8,)),
    "urllib3": ((2, 3), (3,)),
    "zstandard": ((0, 22), (1,)),
}
_SITES: Final = (
    "usr/lib/python3/dist-packages",
    "usr/local/lib/python3*/*-packages",
    "root/.local/lib/python3*/site-packages",
    "home/*/.local/lib/python3*/site-packages",
)


def python(_: Place) -> Finding:
    """Check the interpreter, and whether there can be models on this machine at all."""
    bits = struct.calcsize("P") * 8
    libc, version = platform.libc_ver()
    said = (
        f"Python {platform.python_version()}, {bits} bits, {libc or 'no glibc'} {version}".strip()
    )
    said += f", {platform.machine()}; littoral {littoral.__version__}"
    if machine.cpu() is None or bits != 64:  # noqa: PLR2004
        return fail(
            said,
            "LiteRT has packages for x86_64 and aarch64 in 64 bits alone",
            do="install the 64-bit edition of the system",
        )
    if libc != "glibc" or numbers(version) < _GLIBC:
        return fail(
            said,
            f"LiteRT's packages need glibc {_GLIBC[0]}.{_GLIBC[1]} or later",
            do="install Debian 12 or later, or Raspberry Pi OS of that age",
        )
    return ok(said)


def packages(_: Place) -> Finding:
    """Check that each package is there, and of a version that was tried."""
    versions: dict[str, str] = {}
    wrong = []
    for name, (least, below) in NEEDED.items():
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if not least <= numbers(versions[name]) < below:
            wanted = f"{_dotted(least)} or later, below {_dotted(below)}"
            wrong.append(f"{name} is {versions[name]}, and should be {wanted}")
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    return fail(said, "; ".join(wrong), do=_install()) if wrong else ok(said)


def pycoral(place: Place) -> Finding:
    """Check for the unrelated package of the index that bears this name."""
    held = list(_pycorals(place.root))
    for where, version, summary in held:
        if "atlas" in summary.lower() or numbers(version) < (1,):
            return warn(
                f"pycoral {version} in {where}: {summary or 'no summary'}",
                "it has nothing to do with Coral's accelerators, and hides Google's package of "
                "that name; littoral needs neither",
                do="python3 -m pip uninstall pycoral",
            )
    if held:
        where, version, _summary = held[0]
        return ok(f"pycoral {version} in {where}, which littoral does not need")
    return ok("none, and none is needed")


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of ``version``: (7, 0, 1) of 7.0.1rc2."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _pycorals(root: Path) -> Iterator[tuple[str, str, str]]:
    sites = {folder for pattern in _SITES for folder in found(root, pattern)}
    if root == Path("/"):
        sites |= set(map(Path, sys.path))
    for site in sorted(sites):
        for about in (
            *found(site, "pycoral-*.dist-info/METADATA"),
            *found(site, "pycoral-*.egg-info"),
        ):
            said = text(about / "PKG-INFO" if about.is_dir() else about) or ""
            yield str(site), _field("Version", said), _field("Summary", said)


def _field(name: str, said: str) -> str:
    found = re.search(rf"^{name}: (.*)$", said, re.MULTILINE)
    return found[1].strip() if found else ""


def _install() -> str:
    if Path(littoral.__file__).is_relative_to(VENDORED):
        return "sudo apt-get install --reinstall littoral-agent python3-numpy"
    # Not --upgrade: of that name an index may have what is a stranger's.
    return f"{sys.executable} -m pip install 'littoral[agent,serve]'"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
