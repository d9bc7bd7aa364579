"""Starts the process that measures a model, asks it, and says what its end means."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from littoral import errors, records
from littoral.errors import BackendError, CrashError, DeadlineError, LittoralError
from littoral_serve.bench.orders import MAX_BYTES, Answer, Order, Setup
from littoral_serve.bench.scenarios import Times

_PATIENCE_S: Final = 120.0  # beyond the time that an order itself is for
_TAIL_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be measured: a model, and how it is run."""

    name: str
    backend: str
    model: bytes
    manifest: bytes | None = None
    variant: str | None = None
    golden: tuple[bytes, ...] = ()  # inputs and outputs
    hardware: str | None = None


class Process:
    """A process with one model in it."""

    def __init__(self, child: "subprocess.Popen[bytes]", answers: int, err: Any, name: str) -> None:  # noqa: ANN401
        self._child, self._answers, self._err, self._name = child, answers, err, name
        self._held = bytearray()

    def ask(self, order: Order) -> Answer:
        """Return the answer to an order that times nothing. Raises LittoralError."""
        return self._ask(order)[0]

    def measure(self, order: Order) -> Times:
        """Return the times of what was ordered. Raises LittoralError."""
        answer, times = self._ask(order)
        assert times is not None, answer  # noqa: S101 (the order was one of these)
        return times

    def _ask(self, order: Order) -> tuple[Answer, Times | None]:
        end = time.monotonic() + _PATIENCE_S + 3 * order.seconds
        with contextlib.suppress(BrokenPipeError):
            assert self._child.stdin is not None  # noqa: S101 (it is a pipe)
            self._child.stdin.write(records.to_json(order) + b"\n")
            self._child.stdin.flush()
        line = self._until(lambda: self._held.find(b"\n") + 1, end)
        answer = records.from_json(Answer, line, limit=MAX_BYTES)
        if answer.code is not None:
            raise _error(answer)
        if not answer.queries:
            return answer, None
        size = 16 * answer.queries
        data = self._until(lambda: size if len(self._held) >= size else 0, end)
        due, latency = np.frombuffer(data, np.int64).reshape(2, -1)
        return answer, Times(due=due, latency=latency, elapsed_ns=answer.elapsed_ns)

    def _until(self, there: Any, end: float) -> bytes:  # noqa: ANN401
        """Return the first bytes, as many as ``there`` says once it does not say 0."""
        while not (size := there()):
            ready, _, _ = select.select([self._answers], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise DeadlineError(f"{self._name}: no answer within {_PATIENCE_S:.0f} s")
            part = os.read(self._answers, 2**20)
            if not part:
                raise self._ended()
            self._held += part
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def _ended(self) -> LittoralError:
        status = self._child.wait()
        self._err.seek(0, os.SEEK_END)
        self._err.seek(max(0, self._err.tell() - _TAIL_BYTES))
        said = self._err.read().decode(errors="replace").strip().splitlines()
        how = f"status {status}"
        if status < 0:
            how = signal.Signals(-status).name
        last = f": {said[-1][:200]}" if said else ""
        return CrashError(f"{self._name} ended the process that measured it ({how}){last}")


@contextmanager
def started(subject: Subject, *, threads: int) -> Iterator[Process]:
    """Give a process that has the subject's files and has loaded nothing yet."""
    with contextlib.ExitStack() as held:
        files: list[int] = []

        def file(data: bytes | None) -> int | None:
            if data is None:
                return None
            opened = held.enter_context(tempfile.TemporaryFile())
            opened.write(data)
            opened.flush()
            files.append(opened.fileno())
            return opened.fileno()

        answers, other = os.pipe()
        held.callback(os.close, answers)
        model = file(subject.model)
        assert model is not None  # noqa: S101
        setup = Setup(
            backend=subject.backend,
            threads=threads,
            model=model,
            answers=other,
            manifest=file(subject.manifest),
            variant=subject.variant,
            golden=tuple(fd for data in subject.golden if (fd := file(data)) is not None),
            hardware=subject.hardware,
            parent=os.getpid(),
        )
        err = held.enter_context(tempfile.TemporaryFile())
        try:
            child = _spawn(setup, [*files, other], err)
        finally:
            os.close(other)
        with _ending(child):
            yield Process(child, answers, err, subject.name)


def _spawn(setup: Setup, files: Sequence[int], err: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401
    words = ["-P", "-m", "littoral_serve.bench.child", records.to_json(setup).decode()]
    return subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=err,
        pass_fds=files,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(setup.threads)},
        start_new_session=True,
    )


@contextmanager
def _ending(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        assert child.stdin is not None  # noqa: S101 (it is a pipe)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        child.wait()


def _error(answer: Answer) -> LittoralError:
    """Return the error as it was raised in the child, as far as its code tells."""
    kinds = {one.code: one for one in errors.every(BackendError)}
    return kinds.get(answer.code or "", BackendError)(answer.error)
