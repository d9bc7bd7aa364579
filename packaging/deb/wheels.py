"""The wheels of a lock: fetched, checked, and unpacked into what a device needs of them.

Each has one digest in the lock, and is unpacked only from bytes that have it. Nothing of it
runs: a wheel is a zip, whatever the architecture that it is for.
"""

import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import Final

from deb.archive import Entry
from deb.elf import is_elf, strip
from deb.targets import Target

_LINE: Final = re.compile(r"([\w.-]+)==([\w.+!-]+) --hash=sha256:([0-9a-f]{64})", re.ASCII)
_UNWANTED_FOLDERS: Final = {"tests", "test", "test_data", "__pycache__"}
_UNWANTED_ENDINGS: Final = (".pyi", ".pyx", ".pxd", ".h", ".c", ".pyc", "py.typed", ".gitignore")
_UNWANTED_RECORDS: Final = {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json"}
_UNWANTED: Final = re.compile(
    r"""
      ai_edge_litert/(aot|vendors|tools)/           # compilers for other makers' chips
    | ai_edge_litert/libLiteRt\w+Accelerator\.so    # the GPU's
    | zstandard/(_cffi\.|backend_cffi)              # CPython takes the other backend
    | cffi/                                         # its compiler: cryptography needs _cffi_backend
    | pip/|setuptools/
    | .*\.sh$
    | [^/]+\.dist-info/(sboms/|entry_points\.txt|top_level\.txt)
    """,
    re.VERBOSE,
)


class LockError(Exception):
    """A lock, or a wheel that is not the lock's: one line for the person who builds."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A line of a lock."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel as it is vendored: its files below the library, and what it says of itself."""

    metadata: Message
    files: dict[str, Entry]

    @property
    def name(self) -> str:
        return str(self.metadata["Name"])

    @property
    def licence(self) -> str:
        """Return its licence's short name, the classifiers' where it has no other."""
        short = self.metadata["License-Expression"] or self.metadata["License"] or ""
        if short and "\n" not in short and len(short) < 60:
            return str(short)
        trove = [c for c in self.metadata.get_all("Classifier", []) if c.startswith("License ::")]
        return "; ".join(c.rpartition(" :: ")[2] for c in trove) or "see its files"


def read_lock(path: Path) -> list[Pin]:
    """Return the pins in ``path``.

    Raises:
        LockError: A line is something else, or there is no such file.

    """
    try:
        text = path.read_text()
    except OSError as e:
        raise LockError(f"{path}: {e.strerror}; make it with packaging/make-locks") from e
    pins = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if (found := _LINE.fullmatch(line)) is None:
            raise LockError(f"{path}:{number}: expected NAME==VERSION --hash=sha256:…")
        pins.append(Pin(*found.groups()))
    return pins


def fetch(lock: Path, target: Target, folder: Path) -> list[Path]:
    """Return the lock's wheels in ``folder``; pip downloads them if one is missing.

    Raises:
        LockError: One cannot be had, or is another than the lock's.

    """
    pins = read_lock(lock)
    held = _held(folder)
    if any(pin.sha256 not in held for pin in pins):
        folder.mkdir(parents=True, exist_ok=True)
        _download(lock, target, folder)
        held = _held(folder)
    missing = [pin.name for pin in pins if pin.sha256 not in held]
    if missing:
        raise LockError(f"{lock.name}: no wheel with the lock's digest: {', '.join(missing)}")
    return [held[pin.sha256] for pin in pins]


def _held(folder: Path) -> dict[str, Path]:
    wheels = sorted(folder.glob("*.whl"))
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in wheels}


def _download(lock: Path, target: Target, folder: Path) -> None:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    words += ["--no-input", "--no-deps", "--require-hashes", *target.pip_options()]
    done = subprocess.run(
        [*words, "--dest", folder, "--requirement", lock],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = said[-1] if said else done.stderr.strip().rpartition("\n")[2]
        raise LockError(f"{lock.name}: pip download: {why}")


def unpack(path: Path) -> Wheel:
    """Return what is needed of the wheel ``path``.

    Raises:
        LockError: It has files for elsewhere than its library.

    """
    files: dict[str, Entry] = {}
    metadata = Message()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = PurePosixPath(info.filename)
            if name.is_absolute() or ".." in name.parts or ".data" in name.parts[0][-5:]:
                raise LockError(f"{path.name}: {name} would lie outside of the library")
            if info.is_dir() or _is_unwanted(name):
                continue
            data = archive.read(info)
            if str(name).endswith(".dist-info/METADATA"):
                metadata = Parser().parsestr(data.decode())
                data = _head(data)
            files[str(name)] = Entry(strip(data) if is_elf(data) else data)
    return Wheel(metadata, files)


def _is_unwanted(name: PurePosixPath) -> bool:
    if _UNWANTED_FOLDERS & set(name.parts[:-1]) or str(name).endswith(_UNWANTED_ENDINGS):
        return True
    if name.parts[0].endswith(".dist-info") and name.name in _UNWANTED_RECORDS:
        return True
    return _UNWANTED.match(str(name)) is not None


def _head(metadata: bytes) -> bytes:
    """Return it without the long description: programs ask for name and version."""
    return metadata.partition(b"\n\n")[0] + b"\n"


def licences(wheels: list[Wheel]) -> Iterator[str]:
    """Walk one line a wheel for the copyright file."""
    for wheel in sorted(wheels, key=lambda one: one.name.lower()):
        yield f"{wheel.name} {wheel.metadata['Version']}: {wheel.licence}"
