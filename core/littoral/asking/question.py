"""What is asked of a serve, whichever way it goes, and what a no becomes here."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from littoral.errors import (
    BackendError,
    DeadlineError,
    DeniedError,
    LittoralError,
    OverloadedError,
    UnreachableError,
)
from littoral.wire.frames import Described, Spec

Array = NDArray[Any]

MOST_BYTES: Final = 256 * 1024 * 1024  # of an answer


class Shown(Spec):
    """A tensor as a release is described: its first dimension is -1 where any number may come."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Refuse nothing: it says what may be sent, and is never sent."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with arrays that are as the model's signature has them."""

    model: str
    release: int | None
    signature: str
    specs: tuple[Spec, ...]
    arrays: tuple[Array, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is asked about pictures: their files as they are, which nothing here decodes."""

    model: str
    release: int | None
    files: tuple[bytes, ...]
    top: int | None
    threshold: float | None


class Line(Protocol):
    """A way to a serve. What goes wrong is raised as a LittoralError."""

    def describe(self, model: str, release: int | None) -> Described:
        """Return what is told of a release; its signatures hold ``Shown``."""
        ...

    def run(self, asked: Question) -> tuple[int, dict[str, Array]]:
        """Return the release that answered, and its outputs."""
        ...

    def look(self, asked: Look) -> dict[str, Array]:
        """Return the task's outputs, each with a row for every picture."""
        ...

    def close(self) -> None: ...


def unreachable(where: str, error: OSError) -> UnreachableError:
    """Return what it means that nobody answers at ``where``."""
    return UnreachableError(f"{where}: {error.strerror or error}; is it running?")


def failure(code: str, words: str) -> LittoralError:
    """Return a serve's no as an error of this program's."""
    match code:
        case "overloaded":
            return OverloadedError(words)
        case "deadline":
            return DeadlineError(words)
        case "backend":
            return BackendError(words)
        case _:
            return DeniedError(words)
