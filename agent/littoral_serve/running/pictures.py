"""Pictures that clients send, on their way through a release: docs/tasks.md.

    a file -> decoded, in a thread -> waits in a lane, and is run -> read as its task, in a thread

Decoding takes milliseconds, and would keep everybody waiting on the loop. One thread does it, so
that no more than one picture lies decoded in memory. Knows no protocol.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from littoral.errors import BackendError, MalformedError
from littoral.model.backends import Array
from littoral_serve.running.inference import Inference
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    LeftError,
    OverloadedError,
    RefusalError,
)
from littoral_serve.running.sights import Sight, Wish, sight_of

if TYPE_CHECKING:
    from littoral.model.tasks.pictures import Entered

SIGNATURE: Final = "image"
INPUT: Final = "image_bytes"
BYTES: Final = "bytes"  # the kind of a column of text, or of files
_SEEN: Final = "float"  # the signature in which pictures go in, and outputs are read

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large pictures may be, and how many requests for them may wait."""

    pixels: int = 25_000_000
    requests: int = 64
    bytes: int = 64 * 2**20  # of one request's pictures, as the model takes them


class Look:
    """One client's pictures: what is asked, and what came of it."""

    def __init__(
        self,
        live: Live,
        files: Sequence[bytes],
        *,
        then: Callable[["Look"], None],
        arrived_ns: int,
        deadline_ns: int,
        wish: Wish | None = None,
    ) -> None:
        """``then`` is called once, on the loop; times are perf_counter_ns, as an Inference's."""
        self.live, self.files, self.then = live, files, then
        self.arrived_ns, self.deadline_ns = arrived_ns, deadline_ns
        self.wish = wish or Wish()
        self.left = False
        self.inference: Inference | None = None
        self._columns: dict[str, Array] = {}
        self._error: Exception | None = None

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self.left = True
        if self.inference is not None:
            self.inference.leave()

    def end(self, made: dict[str, Array] | Exception) -> None:
        # What holds this and is held by it, an inference or the frames of an error, would keep its
        # arrays until the collector comes.
        self.files, self.inference = (), None
        if isinstance(made, Exception):
            self._error = made.with_traceback(None)
        else:
            self._columns = made
        self.then(self)

    def columns(self) -> dict[str, Array]:
        """Return the answer's arrays by name, a row for each picture.

        Raises:
            RefusalError: There is none, and why.
            BackendError: The model failed.

        """
        if self._error is not None:
            raise self._error
        return self._columns


class Pictures:
    """Takes pictures for all releases. All of it happens on the loop, but decoding and reading."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._sights: weakref.WeakKeyDictionary[Live, Sight | str] = weakref.WeakKeyDictionary()
        self._thread: ThreadPoolExecutor | None = None  # most models are sent none
        self._waiting = 0

    def sight(self, live: Live) -> Sight:
        """Return how ``live`` sees pictures.

        Raises:
            InvalidArgumentError: It takes none, and why.

        """
        found = self._sights.get(live)
        if found is None:
            found = self._sights[live] = sight_of(live)
        if isinstance(found, str):
            raise InvalidArgumentError(f"model '{live.model}' takes no pictures: {found}")
        return found

    def offered(self, live: Live) -> Sight | None:
        """Return how ``live`` sees pictures, for its metadata; None where they leave that out."""
        try:
            found = self.sight(live)
        except InvalidArgumentError:
            return None
        return found if found.offered else None

    def submit(self, look: Look) -> None:
        """Take ``look`` in.

        Raises:
            InvalidArgumentError: The release takes no pictures, or these are none at all.
            OverloadedError: Too many requests wait already.

        """
        sight = self.sight(look.live)
        most = max(1, self._bounds.bytes // sight.nbytes)
        if not 1 <= len(look.files) <= most:
            raise InvalidArgumentError(
                f"expected 1 to {most} pictures at once, found {len(look.files)}"
            )
        if self._waiting >= self._bounds.requests:
            raise OverloadedError(look.live.model, self._waiting)
        self._waiting += 1
        decode = partial(_decode, look, sight, self._bounds.pixels)
        self._apart(decode, partial(self._decoded, look, sight))

    def _decoded(
        self, look: Look, sight: Sight, made: "tuple[list[Entered], int] | Exception"
    ) -> None:
        self._waiting -= 1
        if isinstance(made, Exception):
            look.end(made)
            return
        entered, start_ns = made
        live = look.live
        signature = live.signatures[_SEEN]
        (view,) = signature.inputs
        array = np.stack([one.real for one in entered])
        try:
            one = look.inference = Inference(
                live,
                signature,
                [array if view.real else array.astype(view.dtype)],
                then=partial(self._ran, look, sight, entered),
                arrived_ns=look.arrived_ns,
                start_ns=start_ns,
                deadline_ns=look.deadline_ns,
            )
            live.lane.submit(one)
        except RefusalError as e:
            look.end(e)

    def _ran(self, look: Look, sight: Sight, entered: "list[Entered]", one: Inference) -> None:
        try:
            outputs = one.outputs()
        except (RefusalError, BackendError) as e:
            look.end(e)
            return
        read = partial(sight.read, outputs, entered=entered, wish=look.wish)
        self._apart(read, partial(_answered, look, one, time.perf_counter_ns()))

    def _apart(self, job: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Do ``job`` in the thread, and call ``then`` on the loop with what came of it."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        loop = asyncio.get_running_loop()

        def tell(made: T | Exception) -> None:
            loop.call_soon_threadsafe(then, made)

        self._thread.submit(_do, job, tell)


def _do(job: Callable[[], T], tell: Callable[[T | Exception], object]) -> None:
    try:
        made: T | Exception = job()
    except MalformedError as e:
        made = InvalidArgumentError(str(e))
    except RefusalError as e:
        made = e
    except Exception as e:  # else nobody would be answered
        log.exception("a picture could not be answered")
        made = BackendError(f"a picture could not be answered: {e!r}")
    tell(made)


def _decode(look: Look, sight: Sight, pixels: int) -> "tuple[list[Entered], int]":
    """Return the pictures as the model takes them, and when that began."""
    start_ns = time.perf_counter_ns()
    found = []
    for file in look.files:
        if look.left:
            raise LeftError
        if time.perf_counter_ns() > look.deadline_ns:
            waited_s = (time.perf_counter_ns() - look.arrived_ns) / 1e9
            raise LateError(look.live.model, waited_s)
        found.append(sight.enter(file, most_pixels=pixels))
    return found, start_ns


def _answered(
    look: Look, one: Inference, since_ns: int, made: dict[str, Array] | Exception
) -> None:
    if not isinstance(made, Exception):
        one.answered(postprocess_ns=time.perf_counter_ns() - since_ns)
    look.end(made)
