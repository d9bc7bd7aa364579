"""Writes a bundle: a folder of a manifest and its files, wholly or not at all.

It is built beside its place under a hidden name and renamed at the end, so that a reader
meets the old bundle, the new one or none.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from littoral.bundle.manifest import MAX_BYTES, NAME, File, Manifest
from littoral.durable import replace, storage_errors, sync_folder
from littoral.errors import BundleError, ConversionError, MisuseError
from littoral_converter import leftovers

EXPORTS = ("serving", "browser", "mobile")  # folders that targets leave beside the files
_FOLDER = 0o755
MODE = 0o644  # a bundle is public: what it says is signed, not secret


def check_place(out: Path, *, force: bool) -> None:
    """Do nothing if a bundle may be written to ``out``.

    Raises:
        MisuseError: Something is there that would be lost.
        StorageError: Nobody, or not this user, can write there.

    """
    with storage_errors(out):
        _check_writable(Path(os.path.realpath(out)).parent)
        if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
            return
    found = _read(out)
    if found is None:
        raise MisuseError(f"{out} exists and is no bundle; choose another folder")
    if not force:
        raise MisuseError(f"{out} already holds a bundle; choose another folder, or give --force")
    with storage_errors(out):
        strange = sorted({p.name for p in out.iterdir()} - {NAME, *found.files, *EXPORTS})
    if strange:
        raise MisuseError(
            f"{out} holds {strange[0]!r}, which is not of the bundle and would be lost with it; "
            "move it away, or choose another folder"
        )


def _check_writable(folder: Path) -> None:
    """Do nothing if something can be made in ``folder``, or it itself. Raises OSError.

    A conversion takes minutes, and only its end would show it.
    """
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    with TemporaryDirectory(prefix=".", dir=there):
        pass


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """Yield a folder to fill, which becomes ``out`` when the block ends well, else vanishes.

    Raises:
        DiskFullError: No room; ``out`` is as it was.

    """
    out = Path(os.path.realpath(out))
    # Not by the number of the process: in a container the next one has the same.
    fresh, old = (out.with_name(f".{out.name}.{token_hex(4)}.{end}") for end in ("new", "old"))
    _tidy(out)
    with storage_errors(out):
        fresh.mkdir(parents=True)
    try:
        with leftovers.held(fresh):
            yield fresh
        with storage_errors(out):
            _open_to_all(fresh)
            sync_folder(fresh)
            if os.path.lexists(out):
                out.rename(old)
            fresh.rename(out)
            sync_folder(out.parent)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(out):
            old.rename(out)
        raise
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Give what is in ``folder`` the mode of what is published, whoever's mask forbade it.

    A web server or another user copies the bundle from here; the folder itself stays its owner's.
    """
    for path in folder.rglob("*"):
        path.chmod(_FOLDER if path.is_dir() else MODE)


def _tidy(out: Path) -> None:
    """Clear away what a killed process left beside ``out``; a bundle it had moved comes back."""
    fresh, old = (f".{escape(out.name)}.{'?' * 8}.{end}" for end in ("new", "old"))
    with suppress(OSError):
        for moved in out.parent.glob(old):
            if not os.path.lexists(out) and leftovers.abandoned(moved):
                moved.rename(out)
    leftovers.clear(out.parent, fresh)
    leftovers.clear(out.parent, old)


def add(folder: Path, files: Mapping[str, bytes]) -> dict[str, File]:
    """Write ``files`` into ``folder``; return what a manifest says about each."""
    found = {}
    for name, data in files.items():
        replace(folder / name, data, mode=MODE)
        found[name] = File(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    return found


def seal(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest``, which names the files that are in ``folder``.

    Raises:
        ConversionError: It has grown too long for a device to read.

    """
    data = manifest.to_json()
    if len(data) > MAX_BYTES:
        raise ConversionError(f"the manifest has {len(data)} bytes; {MAX_BYTES} are allowed")
    if Manifest.from_json(data) != manifest:
        raise ConversionError("the manifest does not read back as it was written")
    replace(folder / NAME, data, mode=MODE)


def _read(folder: Path) -> Manifest | None:
    try:
        with (folder / NAME).open("rb") as file:
            return Manifest.from_json(file.read(MAX_BYTES + 1))
    except (OSError, BundleError):
        return None
