"""A compiled model as TPUs are to have it: where its file is, and how its tensors look.

It knows no TPU. Whether one has it, and why none will, is told to whoever watches it.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from typing import Final

from littoral.bundle.manifest import Tensor
from littoral.errors import (
    BackendError,
    BackendMissingError,
    CrashError,
    LittoralError,
    MalformedError,
    NotDelegatedError,
    StorageError,
    WrongRuntimeError,
)
from littoral_serve.tpu import messages
from littoral_serve.tpu.sheet import Sheet, memory

_MOST_LOSSES: Final = 3  # children that its load ended, one after the other
_FOR_NOW: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_NUMBERS = itertools.count(1)
_KINDS: Final[dict[str, type[LittoralError]]] = {
    kind.code: kind
    for kind in (
        BackendError,
        BackendMissingError,
        MalformedError,
        NotDelegatedError,
        WrongRuntimeError,
    )
}


class Model:
    """``open_`` returns a descriptor of its file. Raises StorageError."""

    def __init__(
        self,
        what: str,
        *,
        open_: Callable[[], int],
        sha256: str,
        size: int,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
    ) -> None:
        self.number = next(_NUMBERS)
        self.what, self._open = what, open_
        self.sha256, self.size = sha256, size
        self.inputs, self.outputs = inputs, outputs
        self.refusal: LittoralError | None = None  # why no TPU will have it
        self._watchers: list[Callable[[], None]] = []
        self._losses = 0

    def hand_over(self) -> tuple[Sheet, int, int]:
        """Return its tensors' memory, and what a child is given: its file, and that memory.

        Raises:
            StorageError: The file is not there, or this process may not read it.
            OSError: Nothing can be opened for now.

        """
        with contextlib.ExitStack() as held:
            fd = memory(self.inputs, self.outputs)
            held.callback(os.close, fd)
            sheet = Sheet(fd, self.inputs, self.outputs)
            try:
                file = self._open()
            except StorageError as e:
                if isinstance(e.__cause__, OSError) and e.__cause__.errno in _FOR_NOW:
                    raise e.__cause__ from None
                raise
            held.pop_all()
        return sheet, file, fd

    def load(self) -> messages.Load:
        """Return what a child is told with its file."""
        return messages.Load(
            number=self.number,
            what=self.what,
            sha256=self.sha256,
            size=self.size,
            inputs=self.inputs,
            outputs=self.outputs,
        )

    def watch(self, then: Callable[[], None]) -> None:
        """Call ``then`` whenever a TPU has it, has it no more, or none will."""
        self._watchers.append(then)

    def changed(self) -> None:
        for then in tuple(self._watchers):
            then()

    def loaded(self) -> None:
        self._losses = 0
        self.changed()

    def lost(self) -> None:
        """Take note that a child ended while it loaded this."""
        self._losses += 1
        if self._losses >= _MOST_LOSSES:
            self.refused(
                CrashError(f"{self.what}: {_MOST_LOSSES} processes ended while they loaded it")
            )

    def refused(self, why: LittoralError) -> None:
        self.refusal = why
        self.changed()


def error_of(code: str, words: str) -> LittoralError:
    """Return the error that a child told."""
    return _KINDS.get(code, BackendError)(words)
