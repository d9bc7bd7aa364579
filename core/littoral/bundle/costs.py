"""What a release costs a device, in bytes of files: told from manifests alone.

A device takes a file in the smallest encoding whose base it holds, and not at all what it holds
itself. What it holds is what it needed of the release that it has.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from littoral.bundle.manifest import File, Manifest, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What it costs whoever has ``release`` already."""

    release: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCost:
    """One file, in each way that it may travel."""

    name: str
    plain: int
    zstd: int | None
    patches: tuple[Since, ...]  # by the release that has the base, newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """All that a device needs to run one variant."""

    variant: str
    plain: int
    first: int  # to a device that has no release of the model
    since: tuple[Since, ...]  # newest first: the one before, and whose files or bases help


def least(file: File, held: Container[str]) -> int:
    """Return in how many bytes ``file`` travels to a device that holds the blobs ``held``."""
    if file.sha256 in held:
        return 0
    encodings = (e.size for e in file.encodings if e.base is None or e.base in held)
    return min((file.size, *encodings))


def costs(manifest: Manifest, others: Iterable[Manifest]) -> tuple[Cost, ...]:
    """Return what each variant costs; ``others`` are releases of the same model."""
    older = _before(manifest, others)
    return tuple(_cost(manifest, variant, older) for variant in manifest.variants)


def by_file(manifest: Manifest, others: Iterable[Manifest]) -> tuple[FileCost, ...]:
    """Return what each file costs that any variant's device needs."""
    older = _before(manifest, others)
    return tuple(
        FileCost(
            name=name,
            plain=file.size,
            zstd=min((e.size for e in file.encodings if e.kind == "zstd"), default=None),
            patches=tuple(_patches(file, older)),
        )
        for name, file in needed(manifest).items()
    )


def needed(manifest: Manifest) -> dict[str, File]:
    """Return the files that a device of any variant needs: the models first."""
    models = {v.files[0]: manifest.files[v.files[0]] for v in manifest.variants}
    for variant in manifest.variants:
        models |= manifest.files_for(variant)
    return models


def _before(manifest: Manifest, others: Iterable[Manifest]) -> list[Manifest]:
    older = (one for one in others if one.release < manifest.release)
    return sorted(older, key=lambda one: -one.release)


def _cost(manifest: Manifest, variant: Variant, older: list[Manifest]) -> Cost:
    files, model = manifest.files_for(variant).values(), manifest.files[variant.files[0]].sha256
    bases = {e.base for file in files for e in file.encodings if e.base is not None}
    since = []
    for one in older:
        held = _held(one, variant)
        if held and (one is older[0] or bases & held or model in held):
            since.append(Since(release=one.release, bytes=sum(least(f, held) for f in files)))
    return Cost(
        variant=variant.id,
        plain=sum(file.size for file in files),
        first=sum(least(file, ()) for file in files),
        since=tuple(since),
    )


def _held(older: Manifest, variant: Variant) -> set[str]:
    """Return what a device of ``variant`` holds of ``older``: it ran the first that fits there."""
    hardware = set(variant.requires.hardware)
    fits = next((v for v in older.variants if hardware & set(v.requires.hardware)), None)
    return {file.sha256 for file in older.files_for(fits).values()} if fits else set()


def _patches(file: File, older: list[Manifest]) -> Iterator[Since]:
    for one in older:
        held = {file.sha256 for file in one.files.values()}
        sizes = [e.size for e in file.encodings if e.base in held]
        if sizes:
            yield Since(release=one.release, bytes=min(sizes))
