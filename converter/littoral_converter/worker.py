"""Runs one native step in a process of its own, and says in words how it ended.

TensorFlow and LiteRT abort, crash and eat memory on models that they do not like; whatever
they do, they do it to the child. The step gets a job (a record) on its way in, tells its
progress and one result through a pipe, and what its libraries print goes into a log that is
shown only when it fails. Refuses to know what the steps do: littoral_converter.child does.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from littoral import records
from littoral.durable import replace, storage_errors
from littoral.errors import (
    BackendError,
    BackendMissingError,
    ConversionError,
    DeadlineError,
    DiskFullError,
    LittoralError,
    MalformedError,
    MisuseError,
    StorageError,
)
from littoral_converter.recipe import Limits, MiB

T = TypeVar("T")

_SHELL: Final = 128  # a shell's way of saying "ended by signal n"
_CRASHES: Final = {
    int(signal.SIGSEGV): "crashed (segmentation fault)",
    int(signal.SIGABRT): "aborted",
    int(signal.SIGBUS): "crashed (bus error)",
    int(signal.SIGFPE): "crashed (division by zero)",
    int(signal.SIGILL): "was built for another processor (illegal instruction)",
}
_NO_MEMORY: Final = (  # what libraries write when they get none
    "MemoryError",
    "bad_alloc",
    "Cannot allocate memory",
    "failed to map segment",
    "pthread_create() failed",
    "Memory allocation still failed",
)
_TELLING: Final = ("Error", "Check failed", "was not true")
_MAX_LINE: Final = 16 * 1024 * 1024
_TAIL_BYTES: Final = 16 * 1024
# What a child may say itself; each has a message and nothing else.
_WORDED: Final = {
    cls.code: cls
    for cls in (
        BackendError,
        BackendMissingError,
        ConversionError,
        DiskFullError,
        MalformedError,
        MisuseError,
        StorageError,
    )
}
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step took; ``cached``: at an earlier time, for it was not done again."""

    seconds: float
    peak_bytes: int
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a step is doing; ``of`` is 0 where it cannot be counted."""

    stage: str
    done: int = 0
    of: int = 0
    step: str = ""  # what people call the step
    cost: Cost | None = None  # of a step that has ended


Say = Callable[[Progress], None]


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a step: none of the caller's that could change its results.

    What its libraries leave behind, they leave in ``folder``.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_ENABLE_ONEDNN_OPTS": "0",  # its kernels sum in an order that depends on the processor
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
        "ORT_DISABLE_TELEMETRY": "1",  # else ONNX Runtime tells its maker what it runs
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
    }


def run(
    step: str, job: object, result: type[T], *, folder: Path, limits: Limits, say: Say
) -> tuple[T, Cost]:
    """Run ``step`` on ``job`` in a child, and return its result and what it cost.

    ``folder`` is the step's to write in.

    Raises:
        DeadlineError: It was not done in time.
        ConversionError: It crashed, was killed, or failed in a way that it did not foresee.
        LittoralError: What the step itself has to say.

    """
    job_path, log_path = folder / f"{step}.job.json", folder / f"{step}.log"
    replace(job_path, records.to_json(job))
    start = time.monotonic()
    last, done = Progress(stage="starting"), None
    with storage_errors(log_path), log_path.open("wb") as log:
        try:
            with _child(step, job_path, log=log, limits=limits) as (process, pipe):
                for message in _messages(pipe, deadline=start + limits.deadline_s):
                    match message:
                        case {"progress": said}:
                            last = records.fill(Progress, said)
                            say(last)
                        case {"failed": {"code": code, "error": words}}:
                            raise _noted(_WORDED[code](words), log_path)
                        case _:
                            done = message
                returncode = process.wait(timeout=limits.deadline_s)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise _noted(_late(last, limits), log_path) from None
    if done is None or returncode != 0:
        raise _noted(ended(returncode, last=last, log=_tail(log_path), limits=limits), log_path)
    cost = Cost(seconds=time.monotonic() - start, peak_bytes=int(done["peak_bytes"]))
    return records.fill(result, done["done"]), cost


def ended(returncode: int, *, last: Progress, log: str, limits: Limits) -> LittoralError:
    """Return what a child's end without a result means, in words."""
    if "No space left on device" in log:
        return DiskFullError(
            f"{last.stage}: no space left for temporary files; free some, or set TMPDIR"
        )
    if _out_of_memory(returncode, log):
        return ConversionError(
            f"{last.stage}: more memory was needed than there is (limit: "
            f"{limits.address_space_bytes // MiB} MiB of address space); raise "
            "limits.address_space_bytes in the recipe, or convert on a larger machine"
        )
    number = -returncode if returncode < 0 else returncode - _SHELL
    if number in _CRASHES:
        return ConversionError(
            f"{last.stage}: the native library {_CRASHES[number]}; "
            f"the model uses something that it cannot take{_last_words(log)}"
        )
    return ConversionError(f"{last.stage}: failed{_last_words(log) or f' with {returncode}'}")


@contextmanager
def _child(
    step: str, job: Path, *, log: IO[bytes], limits: Limits
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start the child; whatever happens, nothing of it is left."""
    reader, writer = os.pipe()
    try:
        command = (sys.executable, "-P", "-m", "littoral_converter.child", step, str(job))
        figures = (str(writer), str(limits.deadline_s), str(limits.address_space_bytes))
        try:
            process = subprocess.Popen(
                (*command, *figures),
                cwd=job.parent,
                env=environment(job.parent),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
                start_new_session=True,
            )
        finally:
            os.close(writer)
        try:
            yield process, reader
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        os.close(reader)


def _messages(pipe: int, *, deadline: float) -> Iterator[Any]:
    """Yield what the child says until it closes the pipe.

    Raises:
        TimeoutError: The deadline came first.

    """
    held = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(pipe, 65536)
            if not chunk:
                return
            *lines, held = (held + chunk).split(b"\n")
            for line in lines:
                yield records.parse_json(line, limit=_MAX_LINE)


def _late(last: Progress, limits: Limits) -> LittoralError:
    return DeadlineError(
        f"{last.stage}: not done within {limits.deadline_s:g} s; raise limits.deadline_s in the "
        "recipe (where it trains: training.deadline_s), or give fewer samples"
    )


def _out_of_memory(returncode: int, log: str) -> bool:
    killed = returncode in {-signal.SIGKILL, _SHELL + signal.SIGKILL}
    return killed or any(words in log for words in _NO_MEMORY)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace")


def _last_words(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    wanted = [line for line in lines if any(words in line for words in _TELLING)] or lines
    return f": {wanted[-1][:300]}" if wanted else ""


def _noted(error: LittoralError, log: Path) -> LittoralError:
    """Return ``error`` with the end of the log as a note: a traceback (--debug) shows it."""
    tail = _tail(log)
    if tail:
        error.add_note(f"the step's log ends:\n{tail}")
    return error
