"""The process that has a TPU: ``python -m littoral_serve.tpu.child SEATING PARENT SOCKET``.

libedgetpu ends it when a stick is pulled, and a model may do to it what it likes; serve takes note,
and starts another one. So it is confined as a trial is, does one thing at a time, and decides
nothing: it opens a TPU, then does as it is ordered, by littoral_serve.tpu.messages, until
serve hangs up.
"""

import gc
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from littoral import records
from littoral.errors import BackendError, LittoralError, MalformedError
from littoral_serve.confining import confine
from littoral_serve.tpu import messages
from littoral_serve.tpu.messages import (
    Drop,
    Dropped,
    Failed,
    Lacking,
    Load,
    Loaded,
    Opened,
    Ran,
    Run,
)

if TYPE_CHECKING:
    from littoral.model.backends import Session

MODULE: Final = "littoral_serve.tpu.child"


def main(argv: list[str]) -> NoReturn:
    seating = records.from_json(messages.Seating, argv[1].encode(), limit=messages.MAX_BYTES)
    confine(parent=int(argv[2]), address_space_bytes=seating.address_space_bytes)
    with socket.socket(fileno=int(argv[3])) as peer:
        _work(seating, peer)
    # Not the usual way out: the library's own end is not always one.
    os._exit(0)


def _work(seating: messages.Seating, peer: socket.socket) -> None:
    try:
        opened, held, open_ = _opened(seating)
    except LittoralError as e:
        peer.send(messages.pack(Lacking(code=e.code, error=str(e))))
        return
    peer.send(messages.pack(opened))
    _Models(open_).obey(peer)
    del held  # what keeps a TPU this process's, also while it has no model


def _opened(seating: messages.Seating) -> "tuple[Opened, object, Callable[[bytes], Session]]":
    """Return what was opened, what holds it, and what opens a model there."""
    if seating.library:
        from littoral.model.backends.delegate import DelegateSession, open_delegate

        delegate = open_delegate(seating.library)
        opened = Opened(device="", path=seating.library, version="", listed=1)
        return opened, delegate, partial(DelegateSession, library=seating.library)
    from littoral.model.backends.edgetpu import EdgeTpuSession, open_tpu

    tpu = open_tpu(seating.device, taken=seating.taken)
    path = tpu.device.path
    opened = Opened(device=tpu.name, path=path, version=tpu.version, listed=tpu.listed)
    return opened, tpu, partial(EdgeTpuSession, device=path)


class _Models:
    """What is loaded, by its number; ``open_`` opens a model."""

    def __init__(self, open_: "Callable[[bytes], Session]") -> None:
        from littoral_serve.tpu.sheet import Sheet

        self._open = open_
        self._held: dict[int, tuple[Session, Sheet]] = {}

    def obey(self, peer: socket.socket) -> None:
        """Do as is ordered, until nobody is there to order."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(peer, messages.MAX_BYTES, 2)
            if not data:
                return
            try:
                answer: messages.Message = self._do(messages.unpack(data), descriptors)
            except LittoralError as e:
                answer = Failed(code=e.code, error=str(e))
            except MemoryError:
                answer = Failed(
                    code=BackendError.code, error="it needs more memory than it may have"
                )
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            peer.send(messages.pack(answer))

    def _do(self, order: messages.Message, descriptors: list[int]) -> messages.Message:
        match order:
            case Run(number=number):
                return self._run(number)
            case Load():
                file, memory = descriptors
                return self._load(order, file, memory)
            case Drop(number=number):
                self._held.pop(number, None)
                gc.collect()
                return Dropped(number=number)
            case _:
                raise MalformedError(f"expected an order, found {type(order).__name__}")

    def _run(self, number: int) -> Ran:
        session, sheet = self._held[number]
        start = time.perf_counter_ns()
        outputs = session.run(*sheet.inputs)
        ns = time.perf_counter_ns() - start
        for view, made in zip(sheet.outputs, outputs, strict=True):
            view[...] = made
        return Ran(number=number, ns=ns)

    def _load(self, order: Load, file: int, memory: int) -> Loaded:
        from littoral.bundle import verified
        from littoral_serve.running import threads
        from littoral_serve.running.loading import match_specs
        from littoral_serve.tpu.sheet import Sheet

        data = verified.read(os.dup(file), order.what, sha256=order.sha256, limit=order.size)
        session = self._open(data)
        match_specs(session, order.inputs, order.outputs)
        threads.warm(session, order.inputs)
        self._held[order.number] = session, Sheet(memory, order.inputs, order.outputs)
        return Loaded(number=order.number)


if __name__ == "__main__":
    main(sys.argv)
