"""Which encodings are tried for a release, and from which older files. Rules only: no file is read.

What is tried depends on the manifests alone, and on no clock, so that the same bundle and
repository give the same manifest on every machine.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from littoral.bundle import costs
from littoral.bundle.manifest import MAX_BYTES, Encoding, File, Manifest, Variant

RELEASES: Final = 3  # that patches are made from, if nobody says otherwise
MOST_PACKED: Final = 512 * 2**20  # bytes of a file; a larger one travels plain
MOST_PATCHED: Final = 128 * 2**20  # bytes of a file, and of its base
BUDGET: Final = 512 * 2**20  # bytes of all files that patches are made for: some ten minutes

_DIGEST: Final = "f" * 64


@dataclass(frozen=True, slots=True)
class Try:
    """One encoding that may be worth it: zstd, or a patch from a base of an older release."""

    name: str
    file: File
    base: File | None = None
    release: int = 0  # that has the base


@dataclass(frozen=True, slots=True)
class Plan:
    tries: tuple[Try, ...]  # file by file: zstd, then the patches, newest base first
    left_out: tuple[str, ...]  # and why, for people


def plan(manifest: Manifest, older: Sequence[Manifest], *, patches: int = RELEASES) -> Plan:
    """Return what to try: for what a device needs, and patches from the ``patches`` newest.

    What saves most comes first, so that what does not fit into the manifest is what saves least:
    zstd before patches, and patches from the newest release before those from older ones.
    """
    left: list[str] = []
    tries = [*_packed(manifest, left), *_patched(manifest, older[:patches], left)]
    room = _room(manifest, tries)
    dropped = [found for found in tries[room:] if found.base is not None]
    if dropped:
        left.append(
            f"{len(dropped)} patches from releases up to {dropped[0].release}: no room in the "
            f"manifest, which holds {MAX_BYTES} bytes"
        )
    places = {name: k for k, name in enumerate(costs.needed(manifest))}
    kept = sorted(tries[:room], key=lambda found: places[found.name])
    return Plan(tuple(kept), tuple(left))


def _packed(manifest: Manifest, left: list[str]) -> Iterator[Try]:
    for name, file in _open(manifest):
        if file.size > MOST_PACKED:
            left.append(f"{name}: above {MOST_PACKED >> 20} MiB, travels plain")
        else:
            yield Try(name, file)


def _patched(manifest: Manifest, older: Sequence[Manifest], left: list[str]) -> Iterator[Try]:
    budget = BUDGET
    seen = {(file.sha256, file.sha256) for file in manifest.files.values()}
    for one in older:
        for name, file in _open(manifest):
            base = _like(manifest, name, one)
            if base is None or (file.sha256, base.sha256) in seen:
                continue
            seen.add((file.sha256, base.sha256))
            if max(file.size, base.size) > MOST_PATCHED:
                left.append(f"{name} from {one.release}: above {MOST_PATCHED >> 20} MiB")
            elif file.size > budget:
                left.append(f"{name} from {one.release}: above {BUDGET >> 20} MiB in all")
            else:
                budget -= file.size
                yield Try(name, file, base, one.release)


def _open(manifest: Manifest) -> Iterator[tuple[str, File]]:
    """Walk the files that a device needs, and whose encodings nobody has chosen before."""
    for name, file in costs.needed(manifest).items():
        if file.size and not file.encodings:
            yield name, file


def _like(manifest: Manifest, name: str, older: Manifest) -> File | None:
    """Return what in ``older`` a file is most like: its namesake, or its variant's model."""
    there = costs.needed(older)
    if name in there:
        return there[name]
    for variant in manifest.variants:
        if variant.files[0] == name:
            return _model_like(variant, older)
    return None


def _model_like(variant: Variant, older: Manifest) -> File | None:
    for one in older.variants:
        if one.id == variant.id:
            return older.files[one.files[0]]
    return None


def _room(manifest: Manifest, tries: list[Try]) -> int:
    """Return how many of ``tries`` the manifest has room for, were they as large as the files."""
    lengths = range(len(tries) + 1)
    fits = bisect_right(lengths, MAX_BYTES, key=lambda n: len(_worst(manifest, tries[:n])))
    return max(0, fits - 1)


def _worst(manifest: Manifest, tries: list[Try]) -> bytes:
    files = dict(manifest.files)
    for found in tries:
        size = found.file.size
        base = None if found.base is None else found.base.sha256
        encoding = (
            Encoding(kind="zstd", sha256=_DIGEST, size=size)
            if base is None
            else Encoding(kind="patch", sha256=_DIGEST, size=size, base=base)
        )
        file = files[found.name]
        files[found.name] = replace(file, encodings=(*file.encodings, encoding))
    return replace(manifest, files=files).to_json()
