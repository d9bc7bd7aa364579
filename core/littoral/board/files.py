"""Small files of the kernel's, of which none need be there."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 64 * 1024


def text(path: Path) -> str | None:
    """Return what stands in ``path``; None: nothing, or the driver does not say it now."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").strip("\0 \n")
    except OSError:
        return None


def number(path: Path, *, base: int = 10) -> int | None:
    """Return the whole number in ``path``; None: there is none."""
    try:
        return int(text(path) or "", base)
    except ValueError:
        return None


def numbers(root: Path, pattern: str) -> list[int]:
    """Return the numbers in all files below ``root`` that the pattern names."""
    return [n for path in found(root, pattern) if (n := number(path)) is not None]


def found(root: Path, pattern: str) -> Iterable[Path]:
    """Return what the pattern names below ``root``, sorted; nothing where one may not look."""
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return ()
