"""The throwaway process in which a candidate runs: ``python -m littoral_serve.trials.trial …``.

A model file is a program, and may do to this process what it likes. So the process has little:
limited memory and time, no core file, the release's files as descriptors and no other file,
nothing to write to but two pipes that are read with a cap (and, for TensorRT, a folder of its own
for the engine that it builds, as the last descriptor). It prints Tried and exits with 0, or
Failure where the model could not even be tried, and exits with 3; any other end speaks for
itself (littoral_serve.trials.trying). Who starts it is littoral_serve.trials.starting's business.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from littoral import records
from littoral.errors import (
    BackendError,
    BackendMissingError,
    LittoralError,
    MemoryBudgetError,
)
from littoral.wire.control import Failure, Tried
from littoral_serve.confining import confine

if TYPE_CHECKING:
    from littoral.bundle.manifest import Manifest, Variant
    from littoral.model.backends import Session

DENIED: Final = 3
MAX_BYTES: Final = 64 * 1024
FILES: Final = 4  # descriptors: the manifest, the model, its golden inputs and outputs


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
    library: str = ""  # of a delegate that the settings name, and that it is for
    tpu: str = ""  # where it is for an Edge TPU: which; empty: any
    taken: tuple[str, ...] = ()  # the paths of those that are not its to open
    gpu: bool = False


def command(order: Order, files: Sequence[int]) -> list[str]:
    """Return the command that a child of this process is to run, which has ``files`` open."""
    words = [records.to_json(order).decode(), str(os.getpid()), *map(str, files)]
    return [sys.executable, "-P", "-m", "littoral_serve.trials.trial", *words]


def prove(order: Order, files: Sequence[int]) -> Tried:
    """Run the candidate's self-test here, in this process.

    Raises:
        LittoralError: Its files are not what was signed, or there is no runtime.

    """
    from littoral.bundle import verified
    from littoral.model import selftest
    from littoral.resident import resident_bytes
    from littoral_serve.running import threads
    from littoral_serve.running.loading import match_specs
    from littoral_serve.trials import golden

    told, model, *vectors = files[:FILES]
    engines = Path(f"/proc/self/fd/{files[FILES]}") if len(files) > FILES else None
    manifest = verified.manifest_in(told, order.manifest, model=order.model)
    variant = manifest.variant(order.variant)
    left = iter(vectors)
    inputs, wanted = golden.read(
        manifest, variant, lambda name: verified.file_in(next(left), manifest, name)
    )
    data = verified.file_in(model, manifest, variant.files[0])
    before = resident_bytes()
    try:
        session = _opened(manifest, variant, data, order, engines=engines)
        match_specs(session, manifest.inputs, manifest.outputs)
        threads.warm(session, manifest.inputs)  # as serve will
        figures = selftest.measure(
            session, inputs, wanted, before_bytes=before, clock=_clock(variant)
        )
    except BackendMissingError:
        raise
    except BackendError as e:
        return Tried(code=e.code, detail=str(e))
    except MemoryError:
        return Tried(code=MemoryBudgetError.code, detail="it needs more memory than it may have")
    return selftest.verdict(figures, manifest.selftest, hardware=order.hardware)


def _clock(variant: "Variant") -> Callable[[], int]:
    """Return what times an inference: a delegate's work is not the processor's."""
    return time.thread_time_ns if variant.delegate is None else time.perf_counter_ns


def _opened(
    manifest: "Manifest", variant: "Variant", data: bytes, order: Order, *, engines: Path | None
) -> "Session":
    from littoral.model.backends import backend_for, open_variant

    if order.library:
        from littoral.model.backends.delegate import DelegateSession

        return DelegateSession(data, library=order.library)
    if backend_for(variant) == "edgetpu":
        from littoral.model.backends.edgetpu import EdgeTpuSession

        return EdgeTpuSession(data, device=order.tpu, taken=order.taken)
    return open_variant(manifest, variant, data, engines=engines)


def main(argv: list[str]) -> NoReturn:
    order = records.from_json(Order, argv[1].encode(), limit=MAX_BYTES)
    parent, *files = map(int, argv[2:])
    confine(
        parent=parent,
        address_space_bytes=order.address_space_bytes,
        cpu_s=order.cpu_s,
        nice=order.nice,
        gpu=order.gpu,
    )
    os.umask(0o022)  # serve, which may be another user, reads what is built here
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
