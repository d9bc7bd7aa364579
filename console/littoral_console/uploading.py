"""Sends what is new in a publisher's repository: first its names, then what is missing there.

Files go with the encodings that their manifests name; a blob that none names stays.
"""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

from littoral.bundle.manifest import Manifest
from littoral.errors import BundleError, LittoralError, MisuseError
from littoral_console.client import Console
from littoral_console.uploads import is_name


def upload(console: Console, folder: Path, *, quiet: bool) -> dict[str, Any]:
    """Send the repository in ``folder``; return what was sent, and the releases that are new.

    Raises:
        MisuseError: It is no repository.
        LittoralError: The console does not believe it; nothing changed there.

    """
    if not (folder / "metadata" / "root.json").is_file():
        raise MisuseError(f"{folder}: expected a repository, made with 'littoral repo init'")
    offers = list(_offers(folder))
    begun = console.post("uploads", {"files": offers})
    sizes = {offer["name"]: int(offer["size"]) for offer in offers}
    missing: list[str] = begun["missing"]
    total = sum(sizes[name] for name in missing)
    try:
        with nullcontext() if quiet else _Progress(total) as progress:
            for name in missing:
                console.put_file(f"uploads/{begun['id']}/files/{name}", folder / name)
                if progress is not None:
                    progress.advance(sizes[name])
        new = console.post(f"uploads/{begun['id']}/commit")
    except LittoralError:
        _give_up(console, begun["id"])
        raise
    return {"files": len(missing), "bytes": total, "releases": new}


def _give_up(console: Console, number: str) -> None:
    try:
        console.delete(f"uploads/{number}")
    except LittoralError:
        return  # the console forgets it by itself, and the first error says what is wrong


def _offers(folder: Path) -> Iterator[dict[str, Any]]:
    named = _named(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not is_name(name) or path.is_symlink() or not path.is_file():
            continue
        if name.startswith("blobs/") and path.name not in named:
            continue  # what a publish left that did not come to its end
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            yield {"name": name, "sha256": sha256, "size": file.tell()}


def _named(folder: Path) -> set[str]:
    """Return the blobs that manifests in ``folder`` name: files, and what they may travel in."""
    found: set[str] = set()
    for path in folder.glob("targets/bundles/*/*/*.manifest.json"):
        try:
            files = Manifest.from_json(path.read_bytes()).files.values()
        except BundleError:
            continue  # the console says what is wrong with it, if anything counts on it
        for file in files:
            found |= {blob.sha256 for blob in file.blobs}
    return found


class _Progress:
    """A bar on stderr."""

    def __init__(self, total: int) -> None:
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=Terminal(stderr=True), transient=True)
        self._task = self._bar.add_task("upload", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, size: int) -> None:
        self._bar.advance(self._task, size)
