"""What the device holds: manifests and blobs by their sha256, and which of them are needed."""

import hashlib
import logging
from collections.abc import Collection
from pathlib import Path

from littoral import durable
from littoral.bundle.manifest import MAX_BYTES, File, Manifest
from littoral.errors import HashError, LittoralError, StorageError
from littoral.tree import Tree
from littoral.wire.journal import Choice

log = logging.getLogger(__name__)


def manifest_bytes(tree: Tree, sha256: str) -> bytes | None:
    """Return the manifest's bytes if they are here and still those that were believed."""
    with durable.storage_errors(tree.manifests):
        try:
            with tree.manifest(sha256).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def manifest(tree: Tree, sha256: str) -> Manifest:
    """Return a manifest that was believed before.

    Raises:
        HashError: It is not here, or no longer what was believed.

    """
    data = manifest_bytes(tree, sha256)
    if data is None:
        raise HashError(f"manifest {sha256[:12]}…", signed=sha256, found="nothing that fits")
    return Manifest.from_json(data)


def files(tree: Tree, choice: Choice) -> list[File]:
    """Return the files that ``choice`` needs to be proven and run.

    Raises:
        HashError: Its manifest is not here.
        MalformedError: The manifest has no such variant.

    """
    found = manifest(tree, choice.manifest)
    return list(found.files_for(found.variant(choice.variant)).values())


def lost(tree: Tree) -> frozenset[str]:
    """Return the models that once had a journal which could not be read. Raises StorageError."""
    with durable.storage_errors(tree.journals):
        aside = [path.name.partition(".json.unreadable") for path in tree.journals.iterdir()]
    return frozenset(model for model, found, _ in aside if found)


def collect(tree: Tree, needed: Collection[Choice], *, named: Collection[str] = ()) -> int:
    """Delete files that nobody needs; return how many. Can be done twice.

    ``named`` are the sha256 of manifests that are wanted without being chosen: what has arrived
    of them is kept. If any manifest that is needed is damaged, nothing is deleted.

    Raises:
        StorageError: The disk refuses; what could be deleted was.

    """
    manifests = {one.manifest for one in needed} | set(named)
    wanted: list[File] = []
    try:
        for one in needed:
            wanted += files(tree, one)
        for sha256 in named:
            if manifest_bytes(tree, sha256) is not None:
                wanted += manifest(tree, sha256).files.values()
    except StorageError:
        raise
    except LittoralError as e:
        log.warning("nothing is collected: %s", e)
        return 0
    blobs = {file.sha256 for file in wanted}
    with durable.storage_errors(tree.root):
        parts = _arriving(tree, wanted)
        doomed = [
            *(path for path in tree.manifests.iterdir() if _is_doomed(path, manifests)),
            *(path for path in tree.blobs.iterdir() if path.is_file() and path.name not in blobs),
            *(path for path in tree.parts.iterdir() if path.name not in parts),
        ]
    return _delete(doomed)


def _arriving(tree: Tree, wanted: list[File]) -> set[str]:
    """Return what may be a part: of a file that is whole a power cut may leave some, too."""
    missing = [file for file in wanted if not tree.blob(file.sha256).exists()]
    return {one.sha256 for file in missing for one in file.blobs}


def _is_doomed(path: Path, manifests: Collection[str]) -> bool:
    return path.suffix == ".json" and path.stem not in manifests


def _delete(doomed: list[Path]) -> int:
    """Delete all that can be; return how many. Raises StorageError if one could not be."""
    gone, refused = 0, None
    for path in doomed:
        try:
            with durable.storage_errors(path):
                path.unlink(missing_ok=True)
            gone += 1
        except StorageError as e:
            refused = e
    if refused is not None:
        raise refused
    return gone
