"""The child's side of a step: limits, a pipe to tell things through, one match of all steps.

Started by littoral_converter.worker as ``python -m littoral_converter.child STEP JOB FD
DEADLINE_S ADDRESS_SPACE_BYTES``; nobody else calls it.
"""

import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from littoral import records
from littoral.children import die_with_parent
from littoral.errors import DiskFullError, LittoralError
from littoral.model.selftest import peak_bytes
from littoral_converter.worker import Progress, Say

_MAX_JOB_BYTES = 16 * 1024 * 1024
_GRACE_S = 10.0


def main(argv: list[str]) -> None:
    """Do one step, tell how it went, and end without the libraries' own farewells."""
    step, job, pipe, deadline_s, address_space_bytes = argv
    _limit(float(deadline_s), int(address_space_bytes))
    with os.fdopen(int(pipe), "w", encoding="utf-8") as told:

        def say(progress: Progress) -> None:
            _tell(told, {"progress": records.plain(progress)})

        try:
            result = _do(step, Path(job).read_bytes(), say)
        except LittoralError as e:
            _tell(told, {"failed": {"code": e.code, "error": str(e)}})
        except OSError as e:
            if e.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            where = f"{Path(job).parent}: no space left on the device; free some, or set TMPDIR"
            _tell(told, {"failed": {"code": DiskFullError.code, "error": where}})
        else:
            _tell(told, {"done": records.plain(result), "peak_bytes": peak_bytes() or 0})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _do(step: str, job: bytes, say: Say) -> object:
    cls, do = _known(step)
    return do(_job(cls, job), say=say)


def _known(step: str) -> tuple[type[Any], Callable[..., object]]:  # noqa: C901 (a table)
    """Return the record that ``step`` is given, and what does it."""
    match step:
        case step if step.startswith("import-"):
            from littoral_converter.importers import program, readers

            found: tuple[type[Any], Callable[..., object]] = (
                program.Job,
                partial(readers.run, step),
            )
        case "read-data":
            from littoral_converter import reading

            found = reading.Job, reading.run
        case step if step.startswith("target-"):
            from littoral_converter.targets import steps

            found = steps.known(step)
        case "fuse":
            from littoral_converter.importers import fusing

            found = fusing.Job, fusing.run
        case "compress":
            from littoral_converter.compress import steps as compress

            found = compress.Job, compress.run
        case "quantize":
            from littoral_converter import quantizing

            found = quantizing.Job, quantizing.run
        case "tf-int8":
            from littoral_converter import tf_converter

            found = tf_converter.Job, tf_converter.to_integers
        case "edgetpu":
            from littoral_converter.edgetpu import compiler

            found = compiler.Job, compiler.compile_
        case "run":
            from littoral_converter import litert

            found = litert.Run, litert.run
        case "prove":
            from littoral_converter import litert

            found = litert.Prove, litert.prove
        case "tensors":
            from littoral_converter.evidence import nearness

            found = nearness.Job, nearness.run
        case _:
            raise ValueError(f"no step {step!r}")
    return found


def _job(cls: type[Any], data: bytes) -> Any:  # noqa: ANN401
    return records.from_json(cls, data, limit=_MAX_JOB_BYTES)


def _limit(deadline_s: float, address_space_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The parent stops us at the deadline; these are for a parent that was itself killed.
    signal.setitimer(signal.ITIMER_REAL, deadline_s + _GRACE_S)
    die_with_parent()


def _tell(told: IO[str], message: object) -> None:
    told.write(json.dumps(message, allow_nan=False) + "\n")
    told.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
