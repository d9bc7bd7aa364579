"""A file as it arrives, wherever it comes from. It knows no server, no folder and no broker."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

CHUNK_BYTES: Final = 64 * 1024
SLOW_OVER_S: Final = 30.0  # over how long it is judged whether one comes too slowly
LEAST_BYTES_PER_S: Final = 256.0  # of whatever no setting says another rate for


@dataclass(frozen=True, slots=True)
class Stream:
    """A body as it arrives: its first byte's place in the file, and how long the file is."""

    start: int
    total: int | None
    chunks: Iterator[bytes]
    end: Callable[[], None] = lambda: None  # from another thread: no more chunks come
    offline: bool = False  # it comes over no network


class Streams(Protocol):
    """Where files come from, by their name in the repository."""

    def stream(self, name: str, *, start: int = 0) -> AbstractContextManager[Stream]:
        """Open the file ``name``, from byte ``start`` if that is possible."""
