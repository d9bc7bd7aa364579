"""What the tables say of the repository: releases that are here or were, floors, the fleet.

Whether to believe it was decided before (littoral_console.admission).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from littoral_console import audit, queries
from littoral_console import tables as t
from littoral_console.admission import Admitted, Release
from littoral_console.database import put
from littoral_console.rollouts import preference


def known(connection: Connection) -> dict[tuple[str, int], str]:
    """Return the manifest's sha256 of every release that was ever adopted."""
    c = t.releases.c
    rows = connection.execute(select(c.model, c.release, c.manifest))
    return {(row.model, row.release): row.manifest for row in rows}


def record(
    connection: Connection, admitted: Admitted, *, who: str, now_ms: int
) -> tuple[queries.Release, ...]:
    """Make the tables say what the repository holds; return the releases that are new."""
    fleet = {"name": "fleet", "value": admitted.anchors.fleet}
    put(connection, t.settings, fleet)
    for model, floor in admitted.floors.items():
        put(connection, t.models, {"name": model, "floor": floor})
    before = known(connection)
    connection.execute(update(t.releases).values(withdrawn=True))
    new = []
    for release in admitted.releases:
        key = (release.manifest.model, release.manifest.release)
        if key not in before:
            connection.execute(insert(t.releases).values(_row(release, now_ms=now_ms)))
            new.append(key)
            _tell_new(connection, release, who=who, now_ms=now_ms)
        c = t.releases.c
        connection.execute(
            update(t.releases).where(c.model == key[0], c.release == key[1]).values(withdrawn=False)
        )
    tell_aside(connection, admitted.aside, who=who, now_ms=now_ms)
    found = (queries.release(connection, model, number) for model, number in new)
    return tuple(release for release in found if release is not None)


def _tell_new(connection: Connection, release: Release, *, who: str, now_ms: int) -> None:
    """Say in the log what was added, and how many of its encodings were not sent with it."""
    audit.record(
        connection,
        "release.add",
        who=who,
        subject=f"{release.manifest.model}:{release.manifest.release}",
        now_ms=now_ms,
        detail={"missing_encodings": release.missing} if release.missing else None,
    )


def tell_aside(connection: Connection, aside: Mapping[str, str], *, who: str, now_ms: int) -> None:
    """Say in the log what forged metadata was set aside, by name and sha256."""
    for name, sha256 in aside.items():
        audit.record(
            connection,
            "repository.set-aside",
            who=who,
            subject=name,
            now_ms=now_ms,
            detail={"sha256": sha256},
        )


def _row(release: Release, *, now_ms: int) -> dict[str, Any]:
    manifest = release.manifest
    return {
        "model": manifest.model,
        "release": manifest.release,
        "label": manifest.label,
        "task": manifest.task,
        "manifest": release.sha256,
        "length": len(release.document),
        "size": sum(file.size for file in manifest.files.values()),
        "hardware": list(preference(manifest)),
        "document": release.document,
        "added_ms": now_ms,
        "withdrawn": False,
    }
