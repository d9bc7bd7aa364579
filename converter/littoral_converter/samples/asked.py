"""What is asked of a source of samples, what it is read into, and the checks that all share.

Refuses to know where the samples come from.
"""

import dataclasses
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.preprocessing import PIXELS, Preprocessing
from littoral.durable import storage_errors
from littoral.errors import MalformedError
from littoral.model import images
from littoral_converter.recipe import Examples

MAX_BYTES: Final = 64 * 2**30  # of samples, as the files or as float32 on the disk
if TYPE_CHECKING:
    from PIL.Image import Image

_NAMED: Final = 3  # of the bad ones
_DEPTHS: Final = (1, 3)
_MOST_CLASS: Final = 2**31  # beyond it nobody counted
_MOST_NAMED: Final = 1_000_000  # characters of all classes' names
_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, half a character, ends of lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """At most ``most`` samples, from all classes in turn; ``shape`` is of one, as the model's.

    ``ends`` are what a quantized input can store: without ``preprocessing``, black and white.
    """

    shape: tuple[int, ...] | None = None
    ends: tuple[float, float] | None = None
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None  # the classes in the model's order, where that is known
    examples: Examples = field(default_factory=Examples)
    most: int | None = None
    seed: int = 0

    def choice(self, y: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
        """Return the numbers of the samples to read, ascending; the same ones for the same seed.

        Classes take turns, each in an order drawn by the seed, so that the rarest is there, too.
        """
        if self.most is None or count <= self.most:
            return np.arange(count)
        drawn = np.random.default_rng(self.seed).permutation(count)
        if y is None:
            return np.sort(drawn[: self.most])
        of_class = np.argsort(y[drawn], kind="stable")  # by class; within one, as drawn
        classes, starts = np.unique(y[drawn][of_class], return_index=True)
        turn = np.arange(count) - starts[np.searchsorted(classes, y[drawn][of_class])]
        by_turn = np.argsort(turn, kind="stable")
        return np.sort(drawn[of_class[by_turn[: self.most]]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was read; ``of`` is how many samples there were to choose from."""

    x: NDArray[np.float32]
    y: NDArray[np.int64] | None
    labels: tuple[str, ...] | None
    sha256: str
    of: int
    targets: NDArray[np.float32] | None = None  # true numbers, where there are no classes
    preprocessing: Preprocessing | None = None  # carried out, with nothing left open
    notes: tuple[str, ...] = ()


class SamplesError(ValueError):
    """What is wrong with samples; whoever knows the file adds its name."""


class Rows:
    """Takes samples one by one, all of one shape, into memory or into an .npy file.

    Written and not mapped: on a full disk a mapping is a crash, a write is an error.
    """

    def __init__(self, count: int, into: Path | None) -> None:
        self._count, self._into, self._kept = count, into, 0
        self._shape: tuple[int, ...] | None = None
        self._rows: NDArray[np.float32] | None = None
        self._file = None if into is None else into.open("wb")

    def add(self, row: NDArray[Any], *, name: str) -> None:
        """Keep ``row``, which errors call ``name``.

        Raises:
            SamplesError: It has another shape than those before, or holds what is no number.

        """
        row = np.ascontiguousarray(row, dtype=np.float32)
        if self._shape is None:
            self._begin(row.shape)
        if row.shape != self._shape:
            raise SamplesError(
                f"{name} is {list(row.shape)}, and those before are {list(self._shape or ())}"
            )
        if not np.isfinite(row).all():
            raise SamplesError(f"{name} holds NaN or infinity")
        if self._rows is not None:
            self._rows[self._kept] = row
        if self._file is not None and self._into is not None:
            with storage_errors(self._into):
                self._file.write(row.data)
        self._kept += 1

    def _begin(self, shape: tuple[int, ...]) -> None:
        self._shape, full = shape, (self._count, *shape)
        if 4 * int(np.prod(full, dtype=object)) > MAX_BYTES:
            raise SamplesError(f"{list(full)} are more than {MAX_BYTES} bytes of float32")
        if self._file is None:
            self._rows = np.empty(full, np.float32)
            return
        header = {"descr": "<f4", "fortran_order": False, "shape": full}
        with storage_errors(Path(self._file.name)):
            np.lib.format.write_array_header_1_0(self._file, header)

    def done(self) -> NDArray[np.float32]:
        """Return all samples: the file's are mapped, and not in memory."""
        if self._kept != self._count:
            raise SamplesError(f"expected {self._count} samples, found {self._kept}")
        if self._into is None or self._file is None:
            return np.empty((0,), np.float32) if self._rows is None else self._rows
        with storage_errors(self._into):
            self._file.close()
        mapped: NDArray[np.float32] = np.load(self._into, mmap_mode="r")
        return mapped


def targets(y: NDArray[Any], samples: int) -> NDArray[np.float32] | None:
    """Return ``y`` as true numbers, [samples, …], where it is no classes; None where it is.

    Raises:
        SamplesError: They are not one for each sample, or not finite.

    """
    if y.dtype.kind != "f" or np.isin(y, (0, 1)).all():  # one-hot classes may be floats, too
        return None
    if y.ndim == 0 or len(y) != samples:
        raise SamplesError(f"y: expected {samples} of them, one a sample, found {list(y.shape)}")
    if not np.isfinite(y).all():
        raise SamplesError("y: expected true numbers, found NaN or infinity")
    return y.astype(np.float32)


def classes(y: NDArray[Any], samples: int) -> NDArray[np.int64]:
    """Return ``y`` as numbers of classes: from one column, one-hot or as they are.

    Raises:
        SamplesError: It is none of these.

    """
    if len(np.atleast_1d(y)) != samples:
        raise SamplesError(f"y: expected {samples} classes, one a sample, found {list(y.shape)}")
    if y.ndim == 2 and y.shape[1] == 1:  # noqa: PLR2004
        y = y[:, 0]
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():  # noqa: PLR2004
        y = y.argmax(axis=1)  # one hot
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise SamplesError(f"y: expected whole numbers, found {y.dtype} {list(y.shape)}")
    if y.min() < 0:
        raise SamplesError(f"y: expected classes of 0 and above, found {int(y.min())}")
    if y.max() >= _MOST_CLASS:  # a great one without a sign would become a negative one
        raise SamplesError(f"y: expected classes below {_MOST_CLASS}, found {int(y.max())}")
    return y.astype(np.int64)


def names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the names of classes, each of which can be a line of text.

    Raises:
        SamplesError: One cannot: whoever counts lines would take another class for it.

    """
    found = tuple(labels)
    if sum(map(len, found)) > _MOST_NAMED:
        raise SamplesError(f"names of classes: expected at most {_MOST_NAMED} characters in all")
    for name in found:
        if not name.strip() or any(unicodedata.category(sign) in _NO_TEXT for sign in name):
            raise SamplesError(f"a class is named {name[:60]!r}: expected one line of text")
    return found


def bad(what: str, found: Sequence[str], *, of: int) -> MalformedError:
    """Return an error that names the first of the bad ones, and says how many there are."""
    rest = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return MalformedError(
        f"{what}: {len(found)} of {of} cannot be read: {'; '.join(found[:_NAMED])}{rest}; "
        "mend or remove them"
    )


@dataclass(slots=True, kw_only=True)
class Pictures:
    """Prepares pictures all alike; what is open is settled by the first of them."""

    want: Asked
    settled: Preprocessing | None = None  # with nothing left open
    _own: bool = False  # the size is nobody's but the first picture's

    def prepare(self, picture: "Image") -> NDArray[np.float32]:
        """Return the model's input.

        Raises:
            SamplesError: It has another size than the first, and nobody said which is right.

        """
        size = (picture.height, picture.width)
        if self.settled is None:
            self.settled = _settled(self.want, size=size, gray=picture.mode == "L")
            said = self.want.preprocessing
            self._own = self.want.shape is None and (said is None or said.size is None)
        if self._own and size != self.settled.size:
            raise SamplesError(
                f"is {list(size)}, and the first picture {list(self.settled.size or ())}: say "
                "which size the model takes, [input.preprocessing] size = [height, width]"
            )
        return images.prepare(picture, self.settled, size=None, depth=self.settled.depth or 3)


def _settled(want: Asked, *, size: tuple[int, int], gray: bool) -> Preprocessing:
    said = want.preprocessing or Preprocessing(range=want.ends or PIXELS)
    own, depth = _sides(want.shape)
    channels: Literal["rgb", "gray"] = "gray" if depth == 1 or (depth is None and gray) else "rgb"
    return dataclasses.replace(
        said, size=said.size or own or size, channels=said.channels or channels
    )


def _sides(shape: tuple[int, ...] | None) -> tuple[tuple[int, int] | None, int | None]:
    """Return height and width, and the depth, of a model's input: channels last or first."""
    if shape is None:
        return None, None
    if len(shape) != 3:  # noqa: PLR2004
        raise SamplesError(f"pictures do not fit a model that takes {list(shape)}")
    first, middle, last = shape
    if last in _DEPTHS:
        return (first, middle), last
    if first in _DEPTHS:
        return (middle, last), first
    raise SamplesError(f"pictures have 1 or 3 channels; the model takes {list(shape)}")


def digest(files: Iterable[tuple[str, str]]) -> str:
    """Return what identifies files: the sha256 of what ``sha256sum`` prints of them."""
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in files)
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
