"""What kind of model a path holds, told by its first bytes and never by its name.

Knows formats by their marks, and refuses to know how any of them is converted.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from littoral.durable import storage_errors
from littoral.errors import MalformedError, MisuseError

MAX_BYTES: Final = 4 * 2**30
_MAX_METADATA: Final = 64 * 1024
_EXPORT: Final = (
    "where the model's code is, export it: torch.export.save(torch.export.export(model.eval(), "
    "(example,)), 'model.pt2')"
)


class Kind(StrEnum):
    KERAS3 = "Keras 3 (.keras)"
    KERAS2 = "Keras 2 (.keras)"
    HDF5 = "HDF5 (.h5)"
    SAVED_MODEL = "TensorFlow SavedModel"
    ONNX = "ONNX"
    TORCH = "PyTorch"
    TFLITE = "TFLite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The model as it was given."""

    kind: Kind
    path: Path
    size: int
    sha256: str


def detect(path: Path) -> Source:
    """Return what ``path`` is.

    Raises:
        MisuseError: There is nothing.
        MalformedError: It is no model that this project has heard of, or it is damaged.

    """
    with storage_errors(path):
        if not path.exists():
            raise MisuseError(f"no model {path}: there is no such file or folder")
        if path.is_dir():
            return _folder(path)
        if not path.is_file():  # a pipe would be waited for, and a device has no end
            raise MalformedError(f"{path}: expected a model, found neither a file nor a folder")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise MalformedError(f"{path}: expected at most {MAX_BYTES} bytes, found {size}")
        kind = _kind(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(kind=kind, path=path, size=size, sha256=digest)


def _folder(path: Path) -> Source:
    saved = path / "saved_model.pb"
    if not saved.is_file():
        raise MalformedError(
            f"{path}: expected a model, found a folder without saved_model.pb; name the model file"
        )
    files = sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            inner = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.relative_to(path)}\0{inner}\n".encode())
    size = sum(p.stat().st_size for p in files)
    return Source(kind=Kind.SAVED_MODEL, path=path, size=size, sha256=digest.hexdigest())


def _kind(path: Path) -> Kind:
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] == b"PK\x03\x04":
        return _zip(path)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return Kind.HDF5
    if head[4:8] == b"TFL3":
        return Kind.TFLITE
    if head[:1] == b"\x08" and _onnx(head):
        return Kind.ONNX
    raise MalformedError(f"{path}: expected a model, found {_seen(head)}")


def _zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if {"metadata.json", "config.json"} <= names:
                info = archive.getinfo("metadata.json")
                if info.file_size > _MAX_METADATA:
                    raise MalformedError(f"{path}: metadata.json is larger than any true one")
                return _keras(path, archive.read(info))
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, NotImplementedError) as e:
        raise MalformedError(
            f"{path}: the archive is damaged or cut short ({e}); save or copy the model again"
        ) from e
    inner = {name.partition("/")[2] for name in names}  # PyTorch's have one folder around all
    if "archive_format" in inner:
        return Kind.TORCH
    if "data.pkl" in inner or "serialized_exported_program.json" in names:
        raise MalformedError(f"{path}: {_pickled(inner)}; {_EXPORT}")
    raise MalformedError(f"{path}: expected a model, found an archive of other things")


def _pickled(inner: set[str]) -> str:
    if any(name.startswith("code/") for name in inner):
        return "expected an exported PyTorch program, found TorchScript"
    if "data.pkl" in inner:
        return "is a PyTorch pickle, which is never loaded: it can run code"
    return "is an exported PyTorch program of 2.7 or older, which PyTorch reads no more"


def _keras(path: Path, metadata: bytes) -> Kind:
    try:
        version = str(json.loads(metadata)["keras_version"])
    except (ValueError, KeyError, TypeError) as e:
        raise MalformedError(f"{path}: metadata.json does not say which Keras wrote it") from e
    match version.partition(".")[0]:
        case "3":
            return Kind.KERAS3
        case "2":
            return Kind.KERAS2
        case _:
            raise MalformedError(f"{path}: expected Keras 2 or 3, found a model of Keras {version}")


def _onnx(head: bytes) -> bool:
    """Tell a ModelProto by its first two fields: ir_version, then the producer or an import."""
    return len(head) > 2 and 0 < head[1] < 64 and head[2] in {0x12, 0x1A, 0x3A, 0x42}  # noqa: PLR2004


def _seen(head: bytes) -> str:
    if not head:
        return "an empty file"
    marks = {
        b"\x93NUMPY": "a NumPy array (as data: --calibration or --evaluation)",
        b"\x89PNG": "a PNG picture",
        b"\xff\xd8\xff": "a JPEG picture",
        b"\x80": f"a Python pickle, which is never loaded: it can run code; if it is of PyTorch, "
        f"{_EXPORT}",
        b"\x7fELF": "a program",
    }
    for mark, words in marks.items():
        if head.startswith(mark):
            return words
    return f"something that begins with {head[:8]!r}"
