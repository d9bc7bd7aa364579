"""How the tensors of a bare compiled file look, which nothing but a TPU can tell for sure.

A bundle's manifest says it; a file alone has shapes that are known only when it is loaded. So it is
loaded once, in a process of its own, which may be lost: ``python -m littoral_serve.tpu.looking
SEATING PARENT``, with the model on its standard input. It prints Looked or Failed.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from littoral import records
from littoral.bundle.manifest import Tensor
from littoral.errors import BackendMissingError, CrashError, DeadlineError, LittoralError
from littoral_serve.confining import confine, environment
from littoral_serve.tpu import messages
from littoral_serve.tpu.messages import Failed, Seating
from littoral_serve.tpu.model import error_of
from littoral_serve.tpu.orders import Limits

MODULE: Final = "littoral_serve.tpu.looking"
_REFUSED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def look(model: bytes, devices: Sequence[str], *, limits: Limits) -> Looked:
    """Return how the tensors of ``model`` look on one of ``devices``, where none is named on any.

    The TPU is free again afterwards.

    Raises:
        BackendMissingError: None can be opened; says what to do.
        LittoralError: It does not run on one.

    """
    why = BackendMissingError("no Edge TPU can be opened.")
    for device in devices or ("",):
        try:
            return _looked(model, device, limits)
        except BackendMissingError as e:
            why = e
    from littoral.model.backends.edgetpu import needed

    raise needed(why)


def _looked(model: bytes, device: str, limits: Limits) -> Looked:
    seating = Seating(device=device, address_space_bytes=limits.address_space_bytes)
    words = ["-P", "-m", MODULE, records.to_json(seating).decode(), str(os.getpid())]
    within_s = limits.open_s + limits.load_s
    try:
        done = subprocess.run(
            [sys.executable, *words],
            input=model,
            capture_output=True,
            env=environment(),
            timeout=within_s,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as e:
        raise DeadlineError(f"no Edge TPU has loaded it within {within_s:g} s") from e
    if done.returncode == 0:
        return records.from_json(Looked, done.stdout, limit=messages.MAX_BYTES)
    if done.returncode != _REFUSED:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][-200:]
        raise CrashError(f"it ended the process that loaded it ({done.returncode}): {last}")
    told = records.from_json(Failed, done.stdout, limit=messages.MAX_BYTES)
    raise error_of(told.code, told.error)


def main(argv: list[str]) -> NoReturn:
    seating = records.from_json(Seating, argv[1].encode(), limit=messages.MAX_BYTES)
    confine(parent=int(argv[2]), address_space_bytes=seating.address_space_bytes)
    status, said = 0, b""
    try:
        from littoral.model.backends.edgetpu import EdgeTpuSession

        model = sys.stdin.buffer.read()
        session = EdgeTpuSession(model, device=seating.device, taken=seating.taken)
        said = records.to_json(Looked(inputs=session.inputs, outputs=session.outputs))
    except LittoralError as e:
        status, said = _REFUSED, records.to_json(Failed(code=e.code, error=str(e)))
    os.write(1, said)
    # As a child of serve's: the library's own end is not always one.
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv)
