"""What a step's result depends on, as one digest: its job, the files that this names, the code.

Refuses to know what any step does: a path in a job is what lies there, wherever that is.
"""

import dataclasses
import hashlib
import mmap
import os
import platform
import stat
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import littoral
import littoral_converter
from littoral import records

# Steps that give the same for the same, from what their jobs name. Those that measure time, or ask
# a program of somebody else's, are done anew.
_REPEATABLE: Final = ("import-", "fuse", "quantize", "tf-int8", "compress")
_ELSEWHERE: Final = b"location"  # in an ONNX file: its weights lie in files that no job names


class _NotKeptError(Exception):
    """A job names a folder as text, perhaps by chance: whole disks are not read to find out."""


@dataclass(slots=True)
class Fingerprints:
    """Of the steps that work in ``folder``. A file is read again only when it has changed."""

    folder: Path
    _seen: dict[tuple[int, int, int, int], str] = field(default_factory=dict)

    def of(self, step: str, job: object) -> str | None:
        """Return what the result of ``step`` is kept by, None if it is not kept."""
        if not step.startswith(_REPEATABLE):
            return None
        if step == "import-onnx" and any(_names_others(path) for path in _paths(job)):
            return None
        try:
            told = {"step": step, "job": self._told(job), "world": _world()}
        except (_NotKeptError, OSError):
            return None
        return hashlib.sha256(records.to_json(told)).hexdigest()

    def _told(self, value: Any) -> Any:  # noqa: ANN401 (whatever a job holds)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return {f.name: self._told(getattr(value, f.name)) for f in fields}
        if isinstance(value, str) and value.startswith("/") and Path(value).is_dir():
            raise _NotKeptError
        if isinstance(value, Path) or (isinstance(value, str) and _is_file(value)):
            return self._content(Path(value))
        if isinstance(value, tuple | list):
            return [self._told(inner) for inner in value]
        if isinstance(value, dict):
            return {str(key): self._told(inner) for key, inner in value.items()}
        return records.plain(value)

    def _content(self, path: Path) -> list[str]:
        """Return the path below our folder, else its name, and the digest of what is there."""
        inside = path.is_relative_to(self.folder)
        name = str(path.relative_to(self.folder)) if inside else path.name
        if path == self.folder or not path.exists():
            return [name]
        if path.is_file():
            return [name, self._digest(path)]
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return [name, *(f"{p.relative_to(path)} {self._digest(p)}" for p in files)]

    def _digest(self, path: Path) -> str:
        found = path.stat()
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in self._seen:
            with path.open("rb") as file:
                self._seen[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._seen[key]


def _is_file(text: str) -> bool:
    return text.startswith("/") and "\0" not in text and Path(text).is_file()


def _paths(job: object) -> Iterator[Path]:
    for inner in dataclasses.fields(job) if dataclasses.is_dataclass(job) else ():
        value = getattr(job, inner.name)
        if isinstance(value, Path) and value.is_file():
            yield value


def _names_others(path: Path) -> bool:
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or path.stat().st_size == 0:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return mapped.find(_ELSEWHERE) != -1


@cache
def _world() -> dict[str, Any]:
    """Return what else decides: our code, what is installed, the processor."""
    return {
        "code": [
            _code(Path(str(package.__file__)).parent) for package in (littoral, littoral_converter)
        ],
        "python": sys.version,
        "processor": [platform.machine(), _processor()],
        "packages": sorted(
            entry.name
            for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
            for entry in os.scandir(folder)
            if entry.name.endswith(".dist-info")  # their names bear their versions
        ),
    }


def _code(package: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(f"{path.relative_to(package)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    wanted = ("model name", "flags", "Features")  # kernels are chosen by them
    return "\n".join(next((x for x in lines if x.startswith(name)), "") for name in wanted)
