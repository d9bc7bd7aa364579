"""The throwaway process in which a candidate runs: ``python -m littoral_serve.trials.trial …``.

A model file is a program, and may do to this process what it likes. So the process has little:
limited memory and time, no core file, the release's files as descriptors and no other file,
nothing to write to but two pipes that are read with a cap. It prints Tried and exits with 0, or
Failure where the model could not even be tried, and exits with 3; any other end speaks for
itself (littoral_serve.trials.trying). Who starts it is littoral_serve.trials.starting's business.
"""

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from littoral import records
from littoral.children import die_with_parent
from littoral.errors import (
    BackendError,
    BackendMissingError,
    LittoralError,
    MemoryBudgetError,
)
from littoral.wire.control import Failure, Tried

DENIED: Final = 3
MAX_BYTES: Final = 64 * 1024
FILES: Final = 4  # descriptors: the manifest, the model, its golden inputs and outputs
_MOST_FILES: Final = 64
_PR_SET_NO_NEW_PRIVS: Final = 38
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to try, and the most that it may take."""

    model: str
    manifest: str
    variant: str
    hardware: str
    address_space_bytes: int
    cpu_s: int
    nice: int


def command(order: Order, files: Sequence[int]) -> list[str]:
    """Return the command that a child of this process is to run, which has ``files`` open."""
    words = [records.to_json(order).decode(), str(os.getpid()), *map(str, files)]
    return [sys.executable, "-P", "-m", "littoral_serve.trials.trial", *words]


def environment() -> dict[str, str]:
    held = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return held | {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def confine(order: Order, *, parent: int) -> None:
    """Give up what a trial does not need, and do not outlive ``parent``."""
    die_with_parent()
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(DENIED)
    os.setpriority(os.PRIO_PROCESS, 0, max(order.nice, os.getpriority(os.PRIO_PROCESS, 0)))
    # When the machine is out of memory, this process goes first and serve goes on; where /proc
    # cannot be written to, which one goes is the kernel's choice, and no fault of the candidate.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    for what, most, beyond in (
        (resource.RLIMIT_AS, order.address_space_bytes, 0),
        # At the second limit the signal is the one of a machine that is out of memory.
        (resource.RLIMIT_CPU, order.cpu_s, 5),
        (resource.RLIMIT_NOFILE, _MOST_FILES, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
    ):
        _, hard = resource.getrlimit(what)
        bound = sys.maxsize if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(what, (min(most, bound), min(most + beyond, bound)))


def prove(order: Order, files: Sequence[int]) -> Tried:
    """Run the candidate's self-test here, in this process.

    Raises:
        LittoralError: Its files are not what was signed, or there is no runtime.

    """
    from littoral.model import selftest
    from littoral.model.backends import open_variant
    from littoral_serve.running import release, threads
    from littoral_serve.running.loading import match_specs
    from littoral_serve.trials import golden

    told, model, *vectors = files
    manifest = release.manifest_in(told, order.manifest, model=order.model)
    variant = manifest.variant(order.variant)
    left = iter(vectors)
    inputs, wanted = golden.read(
        manifest, variant, lambda name: release.file_in(next(left), manifest, name)
    )
    data = release.file_in(model, manifest, variant.files[0])
    before = selftest.resident_bytes()
    try:
        session = open_variant(manifest, variant, data)
        match_specs(session, manifest.inputs, manifest.outputs)
        threads.warm(session, manifest.inputs)  # as serve will
        figures = selftest.measure(session, inputs, wanted, before_bytes=before)
    except BackendMissingError:
        raise
    except BackendError as e:
        return Tried(code=e.code, detail=str(e))
    except MemoryError:
        return Tried(code=MemoryBudgetError.code, detail="it needs more memory than it may have")
    return selftest.verdict(figures, manifest.selftest, hardware=order.hardware)


def main(argv: list[str]) -> NoReturn:
    order = records.from_json(Order, argv[1].encode(), limit=MAX_BYTES)
    parent, *files = map(int, argv[2:])
    confine(order, parent=parent)
    status = 0
    result: Tried | Failure
    try:
        result = prove(order, files)
    except LittoralError as e:
        status, result = DENIED, Failure(code=e.code, error=str(e))
    data = records.to_json(result)
    while data:
        data = data[os.write(1, data) :]
    # Not the usual way out: what the model left behind is not cleaned up, it is dropped.
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv)
