"""What may run: releases, where they fit and run, their reports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from sqlalchemy import Connection, select

from littoral.bundle.manifest import Manifest
from littoral.errors import NotFoundError
from littoral_console import queries
from littoral_console import tables as t
from littoral_console.pages.accuracy import Accuracy, accuracy
from littoral_console.pages.frame import Entered, PageRoute
from littoral_console.queries import Device, Release
from littoral_console.repository import ImageRepository
from littoral_console.rollouts import fitting

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# A report is a stranger's page: it gets an origin of its own, no scripts and no network.
_SANDBOX: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    release: Release
    fits: int  # devices that have hardware for it
    accuracy: Accuracy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    model: str
    floor: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """A variant, and on how many devices it is the one that would run."""

    id: str
    engine: str
    delegate: str | None
    hardware: dict[str, float | None]  # with the budget of its p95 in µs
    devices: int


@router.get("/releases")
def releases(visit: Entered) -> Response:
    with visit.context.database.reading() as connection:
        found = queries.releases(connection)
        fleet = admitted(queries.devices(connection))
        data = {release.manifest: _data(connection, release) for release in found}
    rows = [
        Row(
            release=release,
            fits=sum(fitting(release.hardware, d.hardware) is not None for d in fleet),
            accuracy=accuracy(_blob(visit.context.repository, data[release.manifest])),
        )
        for release in found
    ]
    return visit.show(
        "releases.html", section="/releases", families=families(rows), fleet_size=len(fleet)
    )


@router.get("/releases/{model}/{number}")
def release(visit: Entered, model: str, number: int) -> Response:
    with visit.context.database.reading() as connection:
        found = wanted(connection, model, number)
        manifest = _manifest(connection, found)
        devices = queries.devices(connection)
        costs = queries.costs(connection, model, number)
    running = [(d, m) for d in devices for m in d.models if (m.model, m.release) == (model, number)]
    return visit.show(
        "release.html",
        section="/releases",
        r=found,
        accuracy=accuracy(_blob(visit.context.repository, _digest(manifest, manifest.report_data))),
        variants=coverage(manifest, admitted(devices)),
        running=running,
        costs=costs,
        report_url=f"/releases/{model}/{number}/report",
    )


@router.get("/releases/{model}/{number}/report")
def report(visit: Entered, model: str, number: int) -> Response:
    with visit.context.database.reading() as connection:
        manifest = _manifest(connection, wanted(connection, model, number))
    path = _blob(visit.context.repository, _digest(manifest, manifest.report))
    if path is None:
        raise NotFoundError(f"{model}:{number} has no report here")
    return FileResponse(path, media_type="text/html; charset=utf-8", headers=_SANDBOX)


def admitted(devices: Iterable[Device]) -> tuple[Device, ...]:
    """Return the devices that are not revoked."""
    return tuple(device for device in devices if device.revoked_ms is None)


def families(rows: Iterable[Row]) -> tuple[Family, ...]:
    """Return the releases by model; they come in the order of models."""
    groups = ((model, tuple(g)) for model, g in groupby(rows, lambda row: row.release.model))
    return tuple(
        Family(model=model, floor=group[0].release.floor, rows=group) for model, group in groups
    )


def coverage(manifest: Manifest, fleet: Sequence[Device]) -> tuple[Coverage, ...]:
    """Return for each variant on how many devices it is the first that fits."""
    preferred = [
        (name, variant.id) for variant in manifest.variants for name in variant.requires.hardware
    ]
    chosen = [
        next((variant for name, variant in preferred if name in device.hardware), None)
        for device in fleet
    ]
    return tuple(
        Coverage(
            id=variant.id,
            engine=variant.engine,
            delegate=variant.delegate,
            hardware={
                name: manifest.selftest.p95_cpu_us.get(name) for name in variant.requires.hardware
            },
            devices=chosen.count(variant.id),
        )
        for variant in manifest.variants
    )


def wanted(connection: Connection, model: str, number: int) -> Release:
    """Return the release. Raises NotFoundError."""
    found = queries.release(connection, model, number)
    if found is None:
        raise NotFoundError(f"there is no release {model}:{number} here")
    return found


def _manifest(connection: Connection, release: Release) -> Manifest:
    c = t.releases.c
    document = connection.scalar(
        select(c.document).where(c.model == release.model, c.release == release.release)
    )
    return Manifest.from_json(document or b"")


def _data(connection: Connection, release: Release) -> str | None:
    manifest = _manifest(connection, release)
    return _digest(manifest, manifest.report_data)


def _digest(manifest: Manifest, name: str | None) -> str | None:
    return None if name is None else manifest.files[name].sha256


def _blob(repository: ImageRepository, sha256: str | None) -> Path | None:
    return None if sha256 is None else repository.served(f"blobs/{sha256}")
