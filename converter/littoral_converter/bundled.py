"""Reads a bundle: its manifest, and files that are believed by the manifest's digests."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from littoral.bundle import manifest
from littoral.bundle.manifest import Manifest
from littoral.durable import storage_errors
from littoral.errors import HashError, MisuseError
from littoral_converter import data


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """A bundle's model that needs nothing beside a processor."""

    told: Manifest
    path: Path  # of the model's file
    labels: tuple[str, ...] | None

    @property
    def name(self) -> str:
        return f"{self.told.model}:{self.told.release}"


def is_one(path: Path) -> bool:
    """Whether ``path`` is a bundle's folder."""
    return (path / manifest.NAME).is_file()


def told(folder: Path) -> Manifest:
    """Return the manifest in ``folder``.

    Raises:
        BundleError: What is there is none.
        MisuseError: There is none.

    """
    with storage_errors(folder):
        if not is_one(folder):
            raise MisuseError(f"{folder}: expected a bundle, a folder with {manifest.NAME}")
        with (folder / manifest.NAME).open("rb") as file:
            return Manifest.from_json(file.read(manifest.MAX_BYTES + 1))


def file(folder: Path, said: Manifest, name: str) -> bytes:
    """Return the file ``name`` of ``folder``.

    Raises:
        HashError: It is not the one that the manifest names.

    """
    path, expected = folder / name, said.files[name]
    with storage_errors(path):
        if not path.is_file() and path.exists():  # a pipe has no end, nor a link to a device
            raise HashError(str(path), kind="file", signed=expected.sha256, found="a device")
        with path.open("rb") as file:
            content = file.read(expected.size + 1)
    found = hashlib.sha256(content).hexdigest()
    if found != expected.sha256:
        raise HashError(str(path), signed=expected.sha256, found=found)
    return content


def check(folder: Path, said: Manifest) -> None:
    """Do nothing if the files in ``folder`` are those of its manifest; some may not be there.

    Raises:
        HashError: One is another.

    """
    for name in said.files:
        if (folder / name).exists():
            file(folder, said, name)


def model(folder: Path) -> Bundled:
    """Return the first model of the bundle in ``folder`` that a processor runs.

    Raises:
        HashError: It is not the one that the manifest names.
        MisuseError: There is none.

    """
    said = told(folder)
    for variant in said.variants:
        if variant.engine == "tflite" and variant.delegate is None:
            name = variant.files[0]
            file(folder, said, name)
            labels = data.read_labels(folder / said.labels) if said.labels else None
            return Bundled(told=said, path=folder / name, labels=labels)
    raise MisuseError(f"{folder}: the bundle has no TFLite variant for a processor to run")
