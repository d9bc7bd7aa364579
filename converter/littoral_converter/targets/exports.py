"""What other people's programs run: a folder of a target's own, beside the files of the bundle.

Devices fetch none of it, and so the manifest does not name it. Its files are in the report with
their digests, and the report is in the manifest: whoever believes that believes these.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from littoral.durable import replace, storage_errors, sync_folder
from littoral_converter.bundle import MODE
from littoral_converter.evaluate import Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One file of an export; ``path`` is below the bundle's folder."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was made for ``target``, and how like its answers are to the float model's."""

    target: str
    use: str  # how it is begun with, in a line
    likeness: Likeness | None  # None: it could not be asked here
    notes: tuple[str, ...] = ()
    files: tuple[Exported, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def placed(made: Iterable[tuple[Path, Export]], bundle: Path) -> Iterator[Export]:
    """Copy each export into ``bundle``, and walk them with their files. Raises as place."""
    for folder, about in made:
        yield dataclasses.replace(about, files=place(folder, bundle))


def place(made: Path, bundle: Path) -> tuple[Exported, ...]:
    """Copy the folder ``made`` into the folder ``bundle``, under its own name; return its files.

    Raises:
        DiskFullError: There is no room.

    """
    found = []
    folders = {bundle}
    with storage_errors(bundle):
        for source in sorted(path for path in made.rglob("*") if path.is_file()):
            inner = source.relative_to(made.parent)
            data = source.read_bytes()
            (bundle / inner).parent.mkdir(parents=True, exist_ok=True)
            replace(bundle / inner, data, mode=MODE)
            folders |= {bundle / parent for parent in inner.parents}
            digest = hashlib.sha256(data).hexdigest()
            found.append(Exported(path=inner.as_posix(), bytes=len(data), sha256=digest))
        for folder in sorted(folders):
            sync_folder(folder)
    return tuple(found)
