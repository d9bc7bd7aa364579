"""Rules of decoding that are broken on purpose, so that the oracle is seen to bite."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import PropertyMock, patch

import zstandard

from littoral.bundle import frames
from littoral_agent import part


def undigested() -> Iterator[Any]:
    """What a decoder gives is the file, whatever it is."""
    yield patch.object(part.Part, "is_true", PropertyMock(return_value=True))


def unguarded() -> Iterator[Any]:
    """What zstd raises is nobody's business."""
    yield patch.object(zstandard, "ZstdError", ZeroDivisionError)


def roomy() -> Iterator[Any]:
    """A frame may hold as much as it likes."""
    plain = frames.Reader.frame

    def any_size(self: Any, read: Any, *, size: int | None = None, most: int = 0) -> bytes:
        del most
        told = 2**28 if size is None else size
        return plain(self, read, size=None, most=max(told, 2**28))

    yield patch.object(frames.Reader, "frame", any_size)


BROKEN: Final[dict[str, Callable[[], Iterator[Any]]]] = {
    one.__name__: one for one in (undigested, unguarded, roomy)
}


@contextmanager
def broken(rule: str) -> Iterator[None]:
    """Break it while this lasts; an empty one is none."""
    with ExitStack() as stack:
        for one in BROKEN[rule]() if rule else ():
            stack.enter_context(one)
        yield
