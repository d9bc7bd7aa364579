"""How far what devices answer has moved from what their releases were made with.

The baseline and the names of classes are the publisher's, signed but not this console's: where
they are not as expected, or not here, nothing is said.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from littoral.bundle.baseline import MAX_BYTES, Baseline
from littoral.bundle.manifest import Manifest
from littoral.errors import LittoralError
from littoral.wire.drift import Drift, compare, expected
from littoral_console import queries
from littoral_console import tables as t
from littoral_console.repository import ImageRepository

_LABEL: Final = 60  # characters of a class's name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDrift:
    """Of one release; ``labels`` are the names of its classes, empty where it has none."""

    model: str
    release: int
    source: str  # of the baseline: evaluation or calibration
    samples: int  # in the baseline
    labels: tuple[str, ...]
    kinds: tuple[Drift, ...]

    def name(self, one: int | None) -> str:
        """Return what the bin ``one`` of classes is called."""
        if one is None:
            return "all others"
        return self.labels[one] if one < len(self.labels) else f"class {one}"


def drifts(
    connection: Connection,
    repository: ImageRepository,
    *,
    since_ms: int,
    devices: Collection[str] | None = None,
    model: str | None = None,
) -> tuple[ReleaseDrift, ...]:
    """Return the drift of every release that answered since then and has a baseline here."""
    found = []
    for one in queries.answered(connection, since_ms=since_ms, devices=devices, model=model):
        manifest = _manifest(connection, one.model, one.release)
        baseline = None if manifest is None else _baseline(repository, manifest)
        if manifest is None or baseline is None:
            continue
        kinds = tuple(
            compare(wanted, one.counts[wanted.kind])
            for wanted in expected(baseline)
            if wanted.kind in one.counts
        )
        if kinds:
            found.append(
                ReleaseDrift(
                    model=one.model,
                    release=one.release,
                    source=baseline.source,
                    samples=baseline.samples,
                    labels=_labels(repository, manifest),
                    kinds=kinds,
                )
            )
    return tuple(found)


def _manifest(connection: Connection, model: str, release: int) -> Manifest | None:
    c = t.releases.c
    document = connection.scalar(select(c.document).where(c.model == model, c.release == release))
    return None if document is None else Manifest.from_json(document)


def _baseline(repository: ImageRepository, manifest: Manifest) -> Baseline | None:
    data = _file(repository, manifest, manifest.baseline)
    if data is None:
        return None
    try:
        return Baseline.from_json(data)
    except LittoralError:
        return None


def _labels(repository: ImageRepository, manifest: Manifest) -> tuple[str, ...]:
    data = _file(repository, manifest, manifest.labels) or b""
    return tuple(line[:_LABEL] for line in data.decode(errors="replace").splitlines())


def _file(repository: ImageRepository, manifest: Manifest, name: str | None) -> bytes | None:
    if name is None or manifest.files[name].size > MAX_BYTES:
        return None
    path = repository.served(f"blobs/{manifest.files[name].sha256}")
    return None if path is None else path.read_bytes()
