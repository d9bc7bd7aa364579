"""What is asked of bench in vain: refused before the measuring, which takes its time."""

import tempfile
from pathlib import Path
from typing import Final

from littoral import durable
from littoral.bundle.manifest import NAME
from littoral.errors import MisuseError

_ROOM_BYTES: Final = 64 * 1024  # as much as a page or a manifest takes


def check(
    target: Path,
    *,
    sweep: bool,
    other: str | None,
    html: Path | None,
    write_budget: Path | None,
) -> None:
    """Refuse before the measuring what could not be done with it.

    Raises:
        MisuseError: It is not asked for so.
        StorageError: What is to be written has no place.

    """
    if sweep and other is not None:
        raise MisuseError("--sweep and --compare are two questions; ask them one after the other")
    if sweep or other is not None:
        _check_model(target)
    if other is not None:
        _check_model(Path(other))
    if html is not None:
        _check_page(html)
    if write_budget is not None:
        _check_budget(write_budget)


def _check_model(path: Path) -> None:
    """Refuse what would be measured, and is a result."""
    if path.suffix == ".json" and path.is_file():
        raise MisuseError(f"{path}: expected a model to be measured, found a file of a result")


def _check_page(html: Path) -> None:
    """Refuse before the measuring what could not be written after it, or would replace a model."""
    if html.suffix not in {".html", ".htm"}:
        raise MisuseError(f"--html: expected a name that ends with .html, found {html}")
    if html.is_dir() or not html.parent.is_dir():
        raise MisuseError(f"--html: {html}: expected a file, in a folder that is there")
    _check_place(html)


def _check_budget(bundle: Path) -> None:
    """Refuse before the measuring what could not be written after it."""
    if not (bundle / NAME).is_file():
        raise MisuseError(f"--write-budget: {bundle}: expected a bundle, a folder with {NAME}")
    _check_place(bundle / NAME)


def _check_place(path: Path) -> None:
    """Refuse a folder in which nothing can be written: durable writes begin beside ``path``."""
    with durable.storage_errors(path), tempfile.TemporaryFile(dir=path.parent) as file:
        file.write(bytes(_ROOM_BYTES))  # a full disk still has room for a name
