"""Which versions of a runtime will do, as manifests say it: ``litert>=2.1``, ``litert>=2.1,<3``.

A version is numbers with dots between them; what follows the numbers says that it came before
them (``2.2.0rc1``, ``2.2.0.dev20260101``), and anything else is none.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

NAMES: Final = ("litert", "onnxruntime")

Version = tuple[int, ...]

_RANGE: Final = re.compile(r"([a-z]+)>=([0-9.]+)(?:,<([0-9.]+))?")
_VERSION: Final = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,3}")
_FOUND: Final = re.compile(r"(\d+(?:\.\d+)*)(?:\+.*|\.?(post)\d*|(\D.*))?")
_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Range:
    """The versions of ``name`` from ``least`` on, and below ``below`` where there is an end."""

    name: str
    least: Version
    below: Version | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``text`` says. Raises ValueError where it is anything else."""
        found = _RANGE.fullmatch(text)
        if found is None or found[1] not in NAMES:
            raise ValueError(
                f"expected a runtime and its versions, as 'litert>=2.1' or 'litert>=2.1,<3', "
                f"found {text[:60]!r}; runtimes are: {', '.join(NAMES)}"
            )
        least = _numbers(found[2])
        below = None if found[3] is None else _numbers(found[3])
        if below is not None and below <= least:
            raise ValueError(f"no version is in {text!r}")
        return cls(found[1], least, below)

    def admits(self, version: str) -> bool:
        """Whether ``version``, as a package calls itself, is among them."""
        found = _FOUND.fullmatch(version)
        if found is None:
            return False
        # One that is not out yet stands between the version before and the one it will be.
        last = -1 if found[3] else 0
        here = (*_padded(tuple(map(int, found[1].split(".")))), last)
        least = (*_padded(self.least), 0)
        return least <= here and (self.below is None or here < (*_padded(self.below), -1))


def _numbers(text: str) -> Version:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"expected a version, as '2.1', found {text!r}")
    return _padded(tuple(map(int, text.split("."))))


def _padded(version: Version) -> Version:
    return (version + (0,) * _PARTS)[:_PARTS]
