"""Writes a medium: a repository that a stick carries to devices which reach nobody.

It is an ordinary repository, whole or with some releases alone, with a snapshot and a timestamp
of its own that live longer than those which a console renews daily. Nothing else is signed for it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tuf.api.metadata import Root, Snapshot, TargetFile, Targets, Timestamp

from littoral import durable
from littoral.errors import MisuseError
from littoral.trust import writer
from littoral.trust.blobs import copy_blob
from littoral.trust.repository import Repository, read, releases
from littoral.trust.signing import PUBLIC

LIFE: Final = timedelta(days=90)

Wanted = Mapping[str, Collection[int]]  # releases by model; none: all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a medium holds."""

    releases: tuple[str, ...]  # as MODEL:RELEASE
    copied_bytes: int  # that were not there before
    expires: datetime  # when devices take nothing from it any more
    ends_first: str  # the role that makes it so


def export(
    folder: Path,
    target: Path,
    *,
    online: Path,
    wanted: Wanted | None = None,
    life: timedelta = LIFE,
    now: datetime | None = None,
) -> Exported:
    """Write what of ``folder`` is ``wanted`` to ``target``, and sign what says how fresh it is.

    ``online`` holds the keys of snapshot and timestamp. Can be done twice, and over an older one.

    Raises:
        MisuseError: There is no such model or release, a key is missing, or ``target`` holds the
            repository of another fleet.
        HashError: A file is not the one that its manifest names.
        StorageError: The medium does not take it: it is full, or may not be written.

    """
    source, medium = Repository(folder), Repository(target)
    now = now or datetime.now(UTC)
    root = source.root()
    _check_fleet(source, medium)
    writer.find_online(root, online)  # before anything is written
    models = {m: one.signed for m, one in source.models(source.targets(root).signed).items()}
    chosen = dict(_choose(models, wanted))
    copied = sum(
        _copy_release(source, medium, model, found)
        for model, targets in chosen.items()
        for found in targets.values()
    )
    _copy_metadata(source, medium, models)
    least = max(int(now.timestamp()), *_online_versions(source))
    writer.renew(target, online=online, now=now, least=least, life=life)
    ends = {row.role: row.expires for row in writer.status(target, now=now)}
    first = min(ends, key=lambda role: ends[role])
    return Exported(
        releases=tuple(f"{model}:{n}" for model, found in chosen.items() for n in sorted(found)),
        copied_bytes=copied,
        expires=ends[first],
        ends_first=first,
    )


def _check_fleet(source: Repository, medium: Repository) -> None:
    held = medium.path(Root.type, 1)
    if held.exists() and held.read_bytes() != read(source.path(Root.type, 1)):
        raise MisuseError(
            f"{medium.folder}: expected an empty folder, or an older export of this fleet; "
            "found the repository of another one"
        )


def _choose(
    models: Mapping[str, Targets], wanted: Wanted | None
) -> Iterator[tuple[str, dict[int, TargetFile]]]:
    for model in models if wanted is None else wanted:
        if model not in models:
            raise MisuseError(f"no model {model!r}; there are: {', '.join(models) or 'none'}")
        found = releases(models[model], model)
        named = (wanted or {}).get(model) or found
        for release in named:
            if release not in found:
                there = ", ".join(map(str, sorted(found)))
                raise MisuseError(f"{model}: no release {release}; there are: {there}")
        yield model, {release: found[release] for release in named}


def _copy_release(source: Repository, medium: Repository, model: str, target: TargetFile) -> int:
    """Copy the files of one release, then its manifest; return how many bytes that were.

    Their encodings stay behind: a medium is not paid by the byte, and who reads one asks for none.
    """
    manifest = source.read_manifest(model, target)
    _make(medium.blobs)
    copied = 0
    for file in manifest.files.values():
        paths = (source.blob_path(file.sha256), medium.blob_path(file.sha256))
        copied += file.size * copy_blob(*paths, sha256=file.sha256, size=file.size)
    where = {"sha256": target.hashes["sha256"]}
    path = medium.manifest_path(model, manifest.release, **where)
    _make(path.parent)
    data = read(source.manifest_path(model, manifest.release, **where))
    durable.replace(path, data, mode=PUBLIC)
    return copied


def _copy_metadata(source: Repository, medium: Repository, models: Mapping[str, Targets]) -> None:
    """Copy every root, and the newest of all other roles: a snapshot names them all."""
    _make(medium.metadata)
    versions = source.versions()
    named = [(role, versions[role][-1]) for role in (*models, Targets.type)]
    named += [(Root.type, version) for version in versions[Root.type]]
    for role, version in named:
        data = read(source.path(role, version))
        durable.replace(medium.path(role, version), data, mode=PUBLIC)
    newest = read(source.path(Root.type, versions[Root.type][-1]))
    durable.replace(medium.metadata / "root.json", newest, mode=PUBLIC)


def _make(folder: Path) -> None:
    with durable.storage_errors(folder):
        durable.make_folder(folder, mode=0o755)


def _online_versions(source: Repository) -> tuple[int, int]:
    """Return the versions that are above what the console has signed."""
    snapshot = source.newest(Snapshot, Snapshot.type)
    timestamp = source.newest(Timestamp, Timestamp.type)
    return (
        snapshot.signed.version + 1 if snapshot else 1,
        timestamp.signed.version + 1 if timestamp else 1,
    )
