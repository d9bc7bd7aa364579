"""The throwaway child in which a candidate runs first: ``python -m littoral_serve.trial ORDER``.

A model file is a program, and may do to this process what it likes. So the process has little:
limited memory and time, no core file, nothing to write to but a pipe that is read with a cap.
It prints Tried and exits with 0, or Failure where the model could not even be tried, and exits
with 3; any other end speaks for itself (littoral_serve.trying).
"""

import contextlib
import ctypes
import os
import resource
import sys
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
from littoral.tree import Tree
from littoral.wire.control import Failure, Tried

DENIED: Final = 3
MAX_BYTES: Final = 64 * 1024
_MOST_FILES: Final = 64
_PR_SET_NO_NEW_PRIVS: Final = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to try, and the most that it may take."""

    data: Path
    model: str
    manifest: str
    variant: str
    hardware: str
    address_space_bytes: int
    cpu_s: int
    nice: int
    parent: int  # its process id: the child does not outlive it


def confine(order: Order) -> None:
    """Give up what a trial does not need."""
    die_with_parent()
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != order.parent:
        sys.exit(DENIED)
    os.nice(order.nice)
    # When the machine is out of memory, this process goes first and serve goes on; where /proc
    # cannot be written to, which one goes is the kernel's choice, and no fault of the candidate.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    for what, most in (
        (resource.RLIMIT_AS, order.address_space_bytes),
        (resource.RLIMIT_CPU, order.cpu_s),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def prove(order: Order) -> Tried:
    """Run the candidate's self-test here, in this process.

    Raises:
        LittoralError: Its files are not what was signed, or there is no runtime.

    """
    from littoral.model import selftest
    from littoral.model.backends import backend_for, open_session
    from littoral_serve import golden, release
    from littoral_serve.live import match_specs

    tree = Tree(order.data)
    manifest = release.read_manifest(tree, order.manifest, model=order.model)
    variant = release.choose(manifest, order.variant)
    inputs, wanted = golden.read(tree, manifest)
    backend = backend_for(variant)
    data = release.read_file(tree, manifest, variant.files[0])
    before = selftest.resident_bytes()
    try:
        session = open_session(backend, data)
        match_specs(session, manifest.inputs, manifest.outputs)
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
    confine(order)
    status = 0
    result: Tried | Failure
    try:
        result = prove(order)
    except LittoralError as e:
        status, result = DENIED, Failure(code=e.code, error=str(e))
    data = records.to_json(result)
    while data:
        data = data[os.write(1, data) :]
    # Not the usual way out: what the model left behind is not cleaned up, it is dropped.
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv)
